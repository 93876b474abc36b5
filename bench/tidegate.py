"""Tidegate: a control plane of its own, which is not measured, and the node that is."""
import concurrent.futures
import json
import time
import urllib.error
import urllib.request

from processes import OTHERS_CPU, PROXY_CPU, free_ports


class Admin:
    def __init__(self, port, token):
        self.base, self.token = f"http://127.0.0.1:{port}", token

    def call(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from error


def start(processes, binary, port, backend, flags=()):
    """The control plane beside the load, the node where the proxies are; one route that takes all."""
    admin, stream, status = free_ports(3)
    folder = processes.folder
    control = processes.start("control-plane", [
        binary, "control-plane", "--database-url", f"sqlite://{folder}/tidegate.db", "--data-dir", folder / "control",
        "--secret-key-file", folder / "secret.key", "--admin-listen", f"127.0.0.1:{admin}", "--stream-listen", f"127.0.0.1:{stream}",
    ], OTHERS_CPU)
    processes.wait_port(control, admin)
    processes.wait_port(control, stream)
    node = processes.start("node", [
        binary, "data-plane", "--control-plane", f"https://127.0.0.1:{stream}", "--join-token-file", folder / "control/join-token",
        "--data-dir", folder / "node", "--proxy-listen", f"127.0.0.1:{port}", "--status-listen", f"127.0.0.1:{status}", "--workers", "1",
        *flags,
    ], PROXY_CPU)
    processes.wait_port(node, port)
    api = Admin(admin, (folder / "control/operator-token").read_text().strip())
    _wait_for_node(api)
    api.call("PUT", "/v1/services/backend", {"url": f"http://127.0.0.1:{backend}"})
    api.call("PUT", "/v1/routes/all?wait=all&timeout=30s", {"service": "backend"})
    return node, api


def _wait_for_node(api, seconds=30):
    """`wait=all` waits for the nodes that have joined."""
    end = time.monotonic() + seconds
    while not api.call("GET", "/v1/nodes")["data"]:
        if time.monotonic() > end:
            raise SystemExit("the node never joined")
        time.sleep(0.05)


def add_routes(api, prefixes):
    def one(prefix):
        api.call("PUT", f"/v1/routes/{prefix.strip('/')}", {"service": "backend", "match": {"path": prefix}})

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(one, prefixes))
    # waits until the node has them all
    api.call("PUT", "/v1/routes/all?wait=all&timeout=60s", {"service": "backend", "description": "beside the others"})


def issue_keys(api, count, consumers, limit):
    def one(number):
        return api.call("POST", f"/v1/consumers/c{number % consumers}/keys", {})["key"]

    for number in range(consumers):
        api.call("PUT", f"/v1/consumers/c{number}", {})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(one, range(count)))
    limits = [{"name": "minute", "limit": limit, "window": "1m", "per": "consumer"}]
    api.call("PUT", "/v1/policies/limit", {"kind": "rate-limit", "config": {"limits": limits}})
    api.call("PUT", "/v1/policies/key?wait=all&timeout=60s", {"kind": "key-auth"})
    return keys


def one_key(api, consumer):
    api.call("PUT", f"/v1/consumers/{consumer}", {})
    return api.call("POST", f"/v1/consumers/{consumer}/keys", {})["key"]
