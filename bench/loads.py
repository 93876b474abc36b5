"""Loads: each runs for some seconds beside the proxies and says how much was done, in which time, with how many errors."""
import json
import re
import subprocess
from pathlib import Path

from processes import OTHERS_CPU

HERE = Path(__file__).resolve().parent
MIB = 10  # of a long body


def _run(seconds, command):
    pinned = ["taskset", "-c", str(OTHERS_CPU), *map(str, command)]
    return subprocess.run(pinned, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout


def wrk(port, seconds, script=None, arguments=()):
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", HERE / script] if script else []
    out = _run(seconds, command + [f"http://127.0.0.1:{port}/"] + (["--", *arguments] if arguments else []))
    count, took = re.search(r"(\d+) requests in ([\d.]+)s", out).groups()
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    broken = re.search(r"Socket errors: (.*)", out)
    errors = int(bad[1]) if bad else 0
    errors += sum(int(number) for number in re.findall(r"\d+", broken[1])) if broken else 0
    return int(count), float(took), errors


def h2load(port, seconds):
    out = _run(seconds, ["h2load", "-t1", "-c10", "-m100", "-D", seconds, f"http://127.0.0.1:{port}/"])
    took = float(re.search(r"finished in ([\d.]+)s", out)[1])
    good = int(re.search(r"status codes: (\d+) 2xx", out)[1])
    other = sum(int(number) for number in re.search(r"2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out).groups())
    failed = sum(int(number) for number in re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", out).groups())
    return good, took, other + failed


def bodies(way, peer, port, seconds, connections=4):
    """Counts MiB, not requests."""
    done = json.loads(_run(seconds, [peer, way, port, connections, seconds]))
    return done["count"] * MIB, done["seconds"], done["errors"]


class pace:
    """The request of a file, `rate` times a second over some connections; the times that answers took, once it is over."""

    def __init__(self, peer, port, file, connections, rate, seconds):
        command = ["taskset", "-c", str(OTHERS_CPU), *map(str, [peer, "pace", port, file, connections, rate, seconds])]
        self.seconds, self.process = seconds, subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.seen = None

    def result(self):
        if self.seen is None:
            out, _ = self.process.communicate(timeout=self.seconds + 60)
            self.seen = json.loads(out)
        return self.seen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.result()


class Idle:
    """Connections that have had an answer each and now say nothing, while the block runs."""

    def __init__(self, peer, port, connections):
        self.command = ["taskset", "-c", str(OTHERS_CPU), *map(str, [peer, "idle", port, connections])]

    def __enter__(self):
        self.holder = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline().strip() != "ready":
            raise SystemExit("the connections could not all be opened")

    def __exit__(self, *_):
        self.holder.stdin.close()
        self.holder.wait(30)
