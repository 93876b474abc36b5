"""What each kind of policy costs: a route with it beside one without, on the same node."""
import base64
import hashlib
import hmac
import json
import statistics
import sys
import time
from dataclasses import dataclass, field

JWT_SECRET = "a secret of the bench, long enough for its hash"
PASSWORD = "correct horse battery staple 42"
ITEM = {"id": 7, "name": "a name", "price": 12.5, "tags": ["a", "b"]}
SCHEMA = {
    "type": "object", "required": ["items"],
    "properties": {"items": {"type": "array", "items": {
        "type": "object", "required": ["id", "name"], "properties": {
            "id": {"type": "integer"}, "name": {"type": "string", "maxLength": 80}, "price": {"type": "number", "minimum": 0},
            "tags": {"type": "array", "items": {"type": "string"}}}}}}}


@dataclass
class Kind:
    """One or more policies on a route of their own, and the request that meets them."""
    name: str
    policies: list
    headers: dict = field(default_factory=dict)
    method: str = "GET"
    path: str = "/orders/1"
    body: bytes = b""
    statuses: tuple = (200,)


def token():
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    claims = {"sub": "caller", "iss": "bench", "aud": "bench", "exp": int(time.time()) + 86400, "scope": "read write"}
    text = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()) + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.new(JWT_SECRET.encode(), text, hashlib.sha256).digest())).decode()


def items(size):
    return json.dumps({"items": [ITEM] * (size // len(json.dumps(ITEM)))}).encode()


def validated(schema, **more):
    return {"body": {"content": [{"type": "application/json", "schema": schema}], **more}}


def networks(count):
    return [f"10.{number >> 8 & 255}.{number & 255}.0/24" for number in range(count - 1)] + ["127.0.0.0/8"]


def all_kinds(key):
    """In the order in which a request meets them."""
    shown = {"X-Api-Key": key}
    basic = base64.b64encode(f"bench:{PASSWORD}".encode()).decode()
    body = {"Content-Type": "application/json"}
    key_auth = ("key-auth", {})
    limits = [{"name": "minute", "limit": 100_000_000, "window": "1m", "per": "ip"}]
    jwt = ("jwt", {"issuers": ["bench"], "audiences": ["bench"], "consumer": "none", "keys": [{"secret": JWT_SECRET}]})
    return [
        Kind("when", [("request-size", {"max": "1MiB"}, {"when": "request.method == 'PUT' && request.path.startsWith('/x')"})]),
        Kind("ip-restriction, 10 networks", [("ip-restriction", {"allow": networks(10)})]),
        Kind("ip-restriction, 10,000 networks", [("ip-restriction", {"allow": networks(10_000)})]),
        Kind("cors", [("cors", {"origins": ["https://shop.example"]})], {"Origin": "https://shop.example"}),
        Kind("request-size", [("request-size", {"max": "1MiB"})]),
        Kind("key-auth", [key_auth], shown),
        Kind("basic-auth", [("basic-auth", {})], {"Authorization": f"Basic {basic}"}),
        Kind("jwt, HS256", [jwt], {"Authorization": f"Bearer {token()}"}),
        Kind("auth, jwt or key", [("auth", {"any_of": [{"kind": jwt[0], "config": jwt[1]}, {"kind": "key-auth"}]})], shown),
        Kind("key-auth and acl", [key_auth, ("acl", {"allow": {"consumers": ["bench"]}})], shown),
        Kind("rate-limit", [("rate-limit", {"limits": limits})]),
        Kind("request-transform, headers", [("request-transform", {
            "headers": [{"action": "set", "name": "x-method", "value": "${request.method}"}, {"action": "set", "name": "x-fixed", "value": "1"},
                        {"action": "remove", "name": "user-agent"}]})]),
        Kind("response-transform, headers", [("response-transform", {"headers": [{"action": "set", "name": "x-status", "value": "${response.status}"}]})]),
        Kind("response-transform, jq over 1 KiB", [("response-transform", {"body": {"jq": "{total, first: .items[0].name}"}})],
             path="/json"),
        Kind("validate-request, 1 KiB", [("validate-request", validated(SCHEMA))], body, "POST", body=items(1024)),
        Kind("validate-response, 1 KiB", [("validate-response", {"answers": [{"status": "2xx", "content": [{"type": "application/json", "schema": SCHEMA}]}]})], path="/json"),
        Kind("compression, gzip of 1 KiB", [("compression", {"min_size": "100B"})], {"Accept-Encoding": "gzip"}, path="/json"),
        Kind("security-headers", [("security-headers", {})]),
        Kind("cache, a hit", [("cache", {})], path="/json"),
        Kind("mock", [("mock", {"body": "hello"})]),
        Kind("redirect", [("redirect", {"location": "https://example.com/"})], statuses=(301, 302, 303, 307, 308)),
        Kind("maintenance", [("maintenance", {})], statuses=(503,)),
    ]


def prepare(api, kinds):
    """A route for each, and one without policies."""
    api.call("PUT", "/v1/consumers/bench", {})
    if any(name == "basic-auth" for kind in kinds for name, *_ in kind.policies):
        api.call("POST", "/v1/consumers/bench/basic-credentials", {"username": "bench", "password": PASSWORD})
    for number, kind in enumerate(kinds):
        api.call("PUT", f"/v1/routes/kind-{number}", {"service": "backend", "match": {"path": f"/kind-{number}"}})
        for at, (name, config, *more) in enumerate(kind.policies):
            policy = {"kind": name, "config": config, "scope": {"route": f"kind-{number}"}, **(more[0] if more else {})}
            api.call("PUT", f"/v1/policies/kind-{number}-{at}", policy)
    api.call("PUT", "/v1/routes/kind-none?wait=all&timeout=60s", {"service": "backend", "match": {"path": "/kind-none"}})


def request(kind, prefix):
    lines = [f"{kind.method} {prefix}{kind.path} HTTP/1.1", "Host: bench"] + [f"{k}: {v}" for k, v in kind.headers.items()]
    if kind.body:
        lines.append(f"Content-Length: {len(kind.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + kind.body


def report(seen):
    """A line for each kind: what it adds to plain proxying, as the median over pairs."""
    lines = ["### kinds: what a policy adds to a request, CPU µs; below 0 where the gateway answers in the upstream's place", "",
             "| kind | plain proxy | with it | it adds (min–max) | ratio |", "|---|---|---|---|---|"]
    for name, pairs in seen.items():
        plain, own = [statistics.median(pair[side]["cost"] for pair in pairs) for side in (0, 1)]
        adds = sorted(pair[1]["cost"] - pair[0]["cost"] for pair in pairs)
        lines.append(f"| {name} | {plain:.1f} | {own:.1f} | **{statistics.median(adds):.1f}** ({adds[0]:.1f}–{adds[-1]:.1f}) "
                     f"| {statistics.median(pair[1]['cost'] / pair[0]['cost'] for pair in pairs):.2f} |")
    print("\n".join(lines + [""]), flush=True)
    errors = sum(side["errors"] for pairs in seen.values() for pair in pairs for side in pair)
    if errors:
        print(f"{errors} requests failed", file=sys.stderr)
    return {"pairs": seen, "passed": errors == 0}


STEPS = 5


def compose(api):
    """A page made of calls to the API behind, and the same calls as one who makes them himself would send them."""
    steps = {f"part{number}": {"service": "backend", "path": f"/json/{number}"} for number in range(STEPS)}
    route = {"match": {"path": "/composed"}, "compose": {"steps": steps}}
    api.call("PUT", "/v1/routes/composed?wait=all&timeout=60s", route)
    one = b"GET /composed HTTP/1.1\r\nHost: bench\r\n\r\n"
    own = b"\n---\n".join(f"GET /json/{number} HTTP/1.1\r\nHost: bench\r\n\r\n".encode() for number in range(STEPS))
    return one, own


def report_compose(seen, guard_us):
    """What the gateway adds to the slowest of the calls."""
    adds = [one["p99_us"] - own["p99_us"] for one, own in zip(seen["composed"], seen["by itself"])]
    print("\n".join([
        f"### compose: a page of {STEPS} calls, and a caller that makes the same calls to the API itself", "",
        "| | p50 µs | p99 µs |", "|---|---|---|",
        *(f"| {name} | {statistics.median(one['p50_us'] for one in all_):.0f} | {statistics.median(one['p99_us'] for one in all_):.0f} |"
          for name, all_ in seen.items()),
        "", f"p99, composed less by itself: **{statistics.median(adds):.0f} µs** ({min(adds)}–{max(adds)}, {len(adds)} pairs; guard {guard_us})", ""]),
        flush=True)
    errors = sum(one["errors"] for all_ in seen.values() for one in all_)
    return {"adds_us": adds, "passed": statistics.median(adds) <= guard_us and errors == 0}


def report_validating(quiet, busy, guard):
    """Times of another route while bodies pass, and while the same bodies are validated."""
    ratio = statistics.median(one["p99_us"] / other["p99_us"] for one, other in zip(busy, quiet))
    print("\n".join([
        "### validating: another route while bodies of 1 MiB are validated, and while the same bodies only pass", "",
        "| | p50 µs | p99 µs |", "|---|---|---|",
        *(f"| {title} | {statistics.median(one['p50_us'] for one in all_):.0f} | {statistics.median(one['p99_us'] for one in all_):.0f} |"
          for title, all_ in (("they pass", quiet), ("they are validated", busy))),
        "", f"p99, validated / passed: **{ratio:.2f}** (guard {guard})", ""]), flush=True)
    errors = sum(one["errors"] for one in quiet + busy)
    return {"ratio": ratio, "passed": ratio <= guard and errors == 0}
