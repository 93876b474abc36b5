#!/usr/bin/env python3
"""Measures Tidegate beside nginx on this machine: CPU microseconds of the proxy's process tree per request.

    ./dev bench                      all workloads
    ./dev bench --only plain --rounds 9 --seconds 5

Both proxies run at the same time on CPU 0, with one worker each; backend and load generator share CPU 1. They are measured in turns
(A B, B A, A B, ...), so that what the machine does beside hits both. Each pair of neighbours gives one ratio; what is
printed is the median of the ratios and a 95 % interval from resampling them. CPU time per request is far steadier on a
shared machine than requests per second, which are printed too but mean little where the load generator is the bottleneck.

Only the node is measured: its control plane is a process of its own. Every load is bounded in time and stays on loopback; only
processes that were started here are ended.

Exit code 1 if a workload's ratio is above its guard (see GUARDS) with its whole interval.
"""
import argparse
import concurrent.futures
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
KEYS, CONSUMERS = 2000, 100
LIMIT = 100_000_000  # a minute and consumer: never reached

WORKLOADS = {
    "plain": "plain proxy, HTTP/1.1, 64 kept connections, 1 KiB answers",
    "key-limit": f"API key out of {KEYS} and a limit per consumer counted on the node",
}
# The highest ratio to nginx that is let pass. Tighten as figures fall.
GUARDS = {"plain": 1.2, "key-limit": 1.6}


class Processes:
    """What was started, so that it is ended."""

    def __init__(self, folder):
        self.folder, self.all = folder, []

    def start(self, name, command, cpu):
        log = open(self.folder / f"{name}.log", "w")
        pinned = ["taskset", "-c", str(cpu), *map(str, command)]
        process = subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        process.name = name
        self.all.append(process)
        return process

    def end(self):
        for process in reversed(self.all):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self.all):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def wait_port(self, process, port, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if process.poll() is not None:
                tail = (self.folder / f"{process.name}.log").read_text()[-2000:]
                raise SystemExit(f"{process.name} ended with {process.returncode}:\n{tail}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{process.name} never listened on port {port}")


def family(pid):
    """A process and all below it."""
    found = []
    open_ends = [pid]
    while open_ends:
        one = open_ends.pop()
        found.append(one)
        try:
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                open_ends += [int(child) for child in children.read_text().split()]
        except FileNotFoundError:
            pass
    return found


def cpu_us(pid):
    """User and system time of a process tree so far, microseconds."""
    ticks = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1_000_000 / TICK


def rss_mib(pid):
    return sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family(pid)) * PAGE / 2**20


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


NGINX = """
daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.error warn; worker_processes 1; worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000; server_tokens off;
  client_body_temp_path {folder}/{name}.body; proxy_temp_path {folder}/{name}.proxy; fastcgi_temp_path {folder}/{name}.f;
  uwsgi_temp_path {folder}/{name}.u; scgi_temp_path {folder}/{name}.s;
  {inside}
}}
"""


def nginx(processes, name, inside, cpu):
    config = processes.folder / f"{name}.conf"
    config.write_text(NGINX.format(folder=processes.folder, name=name, inside=inside))
    return processes.start(name, ["nginx", "-c", config, "-e", processes.folder / f"{name}.error"], cpu)


def start_backend(processes, port):
    body = "x" * 1024
    server = f'server {{ listen 127.0.0.1:{port}; location / {{ default_type text/plain; return 200 "{body}"; }} }}'
    process = nginx(processes, "backend", server, 1)
    processes.wait_port(process, port)


def start_nginx(processes, port, backend, keys):
    """The same work: forwarded headers, kept upstream connections, and for key-limit a key table and a limit per consumer."""
    table = "".join(f'"{key}" c{n % CONSUMERS}; ' for n, key in enumerate(keys))
    limited = ""
    if keys:
        limited = f"""
        map_hash_max_size 65536; map_hash_bucket_size 128;
        map $http_x_api_key $consumer {{ default ""; {table} }}
        limit_req_zone $consumer zone=all:10m rate={LIMIT // 60}r/s;"""
    guard = 'if ($consumer = "") { return 401; } limit_req zone=all burst=100000 nodelay; proxy_set_header X-Api-Key "";' if keys else ""
    inside = f"""{limited}
      upstream backend {{ server 127.0.0.1:{backend}; keepalive 256; keepalive_requests 1000000; }}
      server {{ listen 127.0.0.1:{port}; location / {{ {guard}
        proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
        proxy_set_header X-Request-Id $request_id; add_header X-Request-Id $request_id; }} }}"""
    process = nginx(processes, "nginx-keys" if keys else "nginx", inside, 0)
    processes.wait_port(process, port)
    return process


class Admin:
    def __init__(self, port, token):
        self.base, self.token = f"http://127.0.0.1:{port}", token

    def call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from error


def start_tidegate(processes, binary, port, backend):
    """A control plane on SQLite on CPU 1 and the node that is measured on CPU 0."""
    admin, stream, status = free_ports(3)
    folder = processes.folder
    control = processes.start("control-plane", [
        binary, "control-plane", "--database-url", f"sqlite://{folder}/tidegate.db", "--data-dir", folder / "control",
        "--secret-key-file", folder / "secret.key", "--admin-listen", f"127.0.0.1:{admin}", "--stream-listen", f"127.0.0.1:{stream}",
    ], 1)
    processes.wait_port(control, admin)
    processes.wait_port(control, stream)
    node = processes.start("node", [
        binary, "data-plane", "--control-plane", f"https://127.0.0.1:{stream}", "--join-token-file", folder / "control/join-token",
        "--data-dir", folder / "node", "--proxy-listen", f"127.0.0.1:{port}", "--status-listen", f"127.0.0.1:{status}", "--workers", "1",
    ], 0)
    processes.wait_port(node, port)
    api = Admin(admin, (folder / "control/operator-token").read_text().strip())
    api.call("PUT", "/v1/services/backend", {"url": f"http://127.0.0.1:{backend}"})
    api.call("PUT", "/v1/routes/all?wait=all&timeout=30s", {"service": "backend"})
    return node, api


def issue_keys(api):
    def one(n):
        return api.call("POST", f"/v1/consumers/c{n % CONSUMERS}/keys", {})["key"]

    for n in range(CONSUMERS):
        api.call("PUT", f"/v1/consumers/c{n}", {})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(one, range(KEYS)))
    limits = [{"name": "minute", "limit": LIMIT, "window": "1m", "per": "consumer"}]
    api.call("PUT", "/v1/policies/limit", {"kind": "rate-limit", "config": {"limits": limits}})
    api.call("PUT", "/v1/policies/key?wait=all&timeout=60s", {"kind": "key-auth"})
    return keys


def load(port, seconds, keys_file):
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", ROOT / "bench/keys.lua"] if keys_file else []
    command += [f"http://127.0.0.1:{port}/"] + (["--", keys_file] if keys_file else [])
    out = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    count, took = re.search(r"(\d+) requests in ([\d.]+)s", out).groups()
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    broken = re.search(r"Socket errors: (.*)", out)
    errors = int(bad[1]) if bad else 0
    errors += sum(int(n) for n in re.findall(r"\d+", broken[1])) if broken else 0
    return int(count), float(took), errors


def measure(process, port, seconds, keys_file):
    before = cpu_us(process.pid)
    count, took, errors = load(port, seconds, keys_file)
    return {"cpu_us": (cpu_us(process.pid) - before) / count, "rate": count / took, "errors": errors, "rss_mib": rss_mib(process.pid)}


def interval(ratios, rounds=4000):
    """Median, and the middle 95 % of the medians of resampled ratios."""
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(rounds))
    return statistics.median(ratios), medians[int(rounds * 0.025)], medians[int(rounds * 0.975)]


def compare(name, contenders, args, keys_file):
    for process, port in contenders.values():
        measure(process, port, 2, keys_file)
    seen = {peer: [] for peer in contenders}
    for turn in range(args.rounds):
        order = list(contenders.items())
        for peer, (process, port) in order if turn % 2 == 0 else reversed(order):
            result = measure(process, port, args.seconds, keys_file)
            seen[peer].append(result)
            print(f"  {name} {turn + 1}/{args.rounds} {peer}: {result['cpu_us']:.1f} µs, {result['rate']:.0f}/s", file=sys.stderr, flush=True)
    return seen


def report(name, seen):
    ratios = [t["cpu_us"] / n["cpu_us"] for t, n in zip(seen["tidegate"], seen["nginx"])]
    middle, low, high = interval(ratios)
    lines = [f"### {name}: {WORKLOADS[name]}", "", "| | CPU µs per request (min–max) | requests/s | RSS MiB | errors |", "|---|---|---|---|---|"]
    for peer, rounds in seen.items():
        cpu = [r["cpu_us"] for r in rounds]
        rate = statistics.median(r["rate"] for r in rounds)
        lines.append(f"| {peer} | **{statistics.median(cpu):.1f}** ({min(cpu):.1f}–{max(cpu):.1f}) | {rate:.0f} "
                     f"| {rounds[-1]['rss_mib']:.0f} | {sum(r['errors'] for r in rounds)} |")
    lines += ["", f"Tidegate / nginx: **{middle:.2f}** (95 % interval {low:.2f}–{high:.2f}, {len(ratios)} pairs; guard {GUARDS[name]})", ""]
    print("\n".join(lines), flush=True)
    errors = sum(r["errors"] for rounds in seen.values() for r in rounds)
    return {"ratio": middle, "low": low, "high": high, "rounds": seen, "passed": low <= GUARDS[name] and errors == 0}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=WORKLOADS, help="one workload")
    parser.add_argument("--seconds", type=int, default=4, help="length of each load")
    parser.add_argument("--rounds", type=int, default=7, help="pairs")
    parser.add_argument("--binary", default=ROOT / "target/dist/tidegate", help="the build to measure")
    parser.add_argument("--out", help="also write the figures here, as JSON")
    args = parser.parse_args()
    for tool in ("nginx", "wrk", "taskset"):
        if not shutil.which(tool):
            sys.exit(f"`{tool}` is missing: `./dev bench` installs it")
    results = {}
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
        processes = Processes(Path(folder))
        try:
            backend, port, plain, keyed = free_ports(4)
            start_backend(processes, backend)
            node, api = start_tidegate(processes, args.binary, port, backend)
            if args.only in (None, "plain"):
                contenders = {"nginx": (start_nginx(processes, plain, backend, []), plain), "tidegate": (node, port)}
                results["plain"] = report("plain", compare("plain", contenders, args, None))
            if args.only in (None, "key-limit"):
                keys = issue_keys(api)
                keys_file = Path(folder) / "keys.txt"
                keys_file.write_text("".join(f"{key}\n" for key in keys))
                contenders = {"nginx": (start_nginx(processes, keyed, backend, keys), keyed), "tidegate": (node, port)}
                results["key-limit"] = report("key-limit", compare("key-limit", contenders, args, keys_file))
        finally:
            processes.end()
    if args.out:
        Path(args.out).write_text(json.dumps(results, indent=1))
    failed = [name for name, result in results.items() if not result["passed"]]
    if failed:
        sys.exit(f"above the guard, or with errors: {', '.join(failed)}")


if __name__ == "__main__":
    main()
