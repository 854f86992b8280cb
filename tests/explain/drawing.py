"""Random tables of routes, delegation and policies, and requests near what they match; seeded, of small alphabets."""

from __future__ import annotations

import base64
import hashlib
import random
from dataclasses import dataclass
from typing import Any

from engine.history.explain import Request
from tests.routing.written import HTTP, HTTPS, certificate

OTHER = 8081
_API = "gateway.networking.k8s.io"
_OURS = "gateway.kgateway.dev"
BACKENDS = ("b1", "b2", "b3")
BACKEND_PORT = 8080
_HOSTS = ("a.example.com", "b.example.com", "x.a.example.com", "example.com", "other.org")
_PATTERNS = (*_HOSTS, "*.example.com", "*.a.example.com")
_PATHS = ("/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/b/c")
_REGEXES = {"/a.*": ("/a", "/a/b"), "/(a|b)/[a-z]+": ("/a/b", "/b/c"), "/a/b?": ("/a/", "/a/b"), "/.+/c": ("/b/c",)}
_METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
_NAMES = ("x-one", "x-two", "x-early")
_VALUES = ("1", "2")
_VALUE_REGEXES = {"[12]": ("1", "2"), "1.?": ("1", "12"), "(1|3).*": ("1", "3x")}
_TEAM = "team"


@dataclass(frozen=True, slots=True)
class Hint:
    """What a rule takes: requests are made of it."""

    hosts: tuple[str, ...]
    path: str
    method: str | None
    headers: tuple[tuple[str, str], ...]
    query: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What a user writes, and what its rules take."""

    documents: list[dict[str, Any]]
    hints: list[Hint]


def table(seed: random.Random, prefix: str) -> Table:
    """A Gateway with routes, policies and backends; the backends stand at `prefix` and their number."""
    listeners = _listeners(seed)
    documents: list[dict[str, Any]] = [
        _object(_API, "v1", "Gateway", "gw", {"gatewayClassName": "penstock", "listeners": listeners}),
        certificate(),
        *(one for number, name in enumerate(BACKENDS, 1) for one in _service(name, f"{prefix}{number}")),
        _service("empty", "")[0],
        _object(_OURS, "v1alpha1", "DirectResponse", "teapot", {"status": 418, "body": "short and stout"}),
    ]
    hints: list[Hint] = []
    names = [f"r{number:02d}" for number in range(seed.choice((3, 6, 12, 20)))]
    for name in names:
        documents += _route(seed, name, [one["name"] for one in listeners], hints)
    documents += [_policy(seed, f"p{number}", names) for number in range(seed.choice((0, 1, 2, 4)))]
    if seed.random() < 0.6:
        documents.append(_listener_policy(seed))
    return Table(documents, hints)


def _object(group: str, version: str, kind: str, name: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    api = f"{group}/{version}" if group else version
    named = {"name": name, "namespace": "default", **metadata}
    return {"apiVersion": api, "kind": kind, "metadata": named, "spec": spec}


def _listeners(seed: random.Random) -> list[dict[str, Any]]:
    found = []
    for port, protocol in ((HTTP, "HTTP"), (OTHER, "HTTP"), (HTTPS, "HTTPS")):
        some = sorted(seed.sample(_PATTERNS, seed.choice((0, 1, 2))))
        for number, host in enumerate(["", *some] if not some or seed.random() < 0.7 else some):
            one: dict[str, Any] = {"name": f"l{port}-{number}", "port": port, "protocol": protocol}
            one |= {"hostname": host} if host else {}
            found.append(one | ({"tls": {"certificateRefs": [{"name": "cert"}]}} if protocol == "HTTPS" else {}))
    return found


def _service(name: str, address: str) -> list[dict[str, Any]]:
    service = _object("", "v1", "Service", name, {"ports": [{"name": "http", "port": 80, "targetPort": BACKEND_PORT}]})
    team = _object("", "v1", "Service", name, service["spec"], namespace=_TEAM)
    found = [service, team]
    for namespace in ("default", _TEAM) if address else ():
        metadata = {"name": f"{name}-1", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}}
        found.append(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": metadata,
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": BACKEND_PORT, "protocol": "TCP"}],
                "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            }
        )
    return found


# -- routes -----------------------------------------------------------------------------------------------------------


def _route(seed: random.Random, name: str, listeners: list[str], hints: list[Hint]) -> list[dict[str, Any]]:
    parent = {"name": "gw"} | ({"sectionName": seed.choice(listeners)} if seed.random() < 0.15 else {})
    hosts = tuple(sorted(seed.sample(_PATTERNS, seed.choice((0, 1, 1, 2)))))
    spec: dict[str, Any] = {"parentRefs": [parent], "rules": []} | ({"hostnames": list(hosts)} if hosts else {})
    created = f"2026-01-0{seed.randint(1, 3)}T00:00:00Z"
    more: list[dict[str, Any]] = []
    for number in range(seed.choice((1, 2, 3))):
        if seed.random() < 0.15:
            child = f"{name}-child-{number}"
            spec["rules"].append(_delegating(seed, child, hosts, hints, more))
        else:
            spec["rules"].append({"name": f"rule{number}"} | _rule(seed, hosts or _HOSTS, hints))
    return [_object(_API, "v1", "HTTPRoute", name, spec, creationTimestamp=created), *more]


def _delegating(
    seed: random.Random, child: str, hosts: tuple[str, ...], hints: list[Hint], more: list[dict[str, Any]]
) -> dict[str, Any]:
    """A rule that hands on what is below a path, and the route that takes it."""
    match = _match(seed, "PathPrefix")
    path = match["path"]["value"]
    rules = []
    for _ in range(seed.choice((1, 2))):
        own = _rule(seed, hosts or _HOSTS, [], path)
        rules.append(own)
        hints += [_hint(one, hosts or _HOSTS) for one in own["matches"]]
    more.append(_object(_API, "v1", "HTTPRoute", child, {"rules": rules}, namespace=_TEAM))
    reference = {"group": _API, "kind": "HTTPRoute", "name": child, "namespace": _TEAM}
    filters = [_headers(seed)] if seed.random() < 0.3 else []
    return {"matches": [match], "backendRefs": [reference]} | ({"filters": filters} if filters else {})


def _rule(seed: random.Random, hosts: tuple[str, ...], hints: list[Hint], below: str = "") -> dict[str, Any]:
    matches = [_match(seed, below=below) for _ in range(seed.choice((1, 1, 2)))]
    hints += [_hint(one, hosts) for one in matches]
    prefixes = len(matches) == 1 and matches[0]["path"]["type"] == "PathPrefix"
    rule: dict[str, Any] = {"matches": matches}
    does = seed.random()
    if does < 0.2:
        return rule | {"filters": [_redirect(seed, prefixes=prefixes)]}
    if does < 0.28 and not below:
        named = {"group": _OURS, "kind": "DirectResponse", "name": "teapot"}
        return rule | {"filters": [{"type": "ExtensionRef", "extensionRef": named}]}
    filters = [_rewrite(seed, prefixes=prefixes)] if seed.random() < 0.3 else []
    filters += [_headers(seed)] if seed.random() < 0.2 else []
    filters += [_cors(seed)] if seed.random() < 0.15 else []
    some: list[dict[str, Any]] = [{"name": one, "port": 80} for one in seed.sample((*BACKENDS, "empty", "missing"), seed.choice((1, 1, 1, 2)))]
    for one in some:
        one.update({"weight": seed.choice((0, 1, 3))} if len(some) > 1 else {})
        if seed.random() < 0.08:
            one["filters"] = [_rewrite(seed, prefixes=False)]
    return rule | {"backendRefs": some} | ({"filters": filters} if filters else {})


def _match(seed: random.Random, kind: str = "", below: str = "") -> dict[str, Any]:
    kind = kind or seed.choice(("Exact", "PathPrefix", "PathPrefix", "PathPrefix", "RegularExpression"))
    path = seed.choice(tuple(_REGEXES) if kind == "RegularExpression" else _PATHS)
    if below and kind != "RegularExpression":
        path = below.rstrip("/") + path
    found: dict[str, Any] = {"path": {"type": kind, "value": path}}
    if seed.random() < 0.3:
        found["method"] = seed.choice(_METHODS)
    for field, names in (("headers", _NAMES), ("queryParams", ("p", "q"))):
        if some := [_text(seed, name) for name in names if seed.random() < 0.2]:
            found[field] = some
    return found


def _text(seed: random.Random, name: str) -> dict[str, str]:
    if seed.random() < 0.4:
        return {"name": name, "type": "RegularExpression", "value": seed.choice(tuple(_VALUE_REGEXES))}
    return {"name": name, "type": "Exact", "value": seed.choice(_VALUES)}


def _hint(match: dict[str, Any], hosts: tuple[str, ...]) -> Hint:
    def pairs(field: str) -> tuple[tuple[str, str], ...]:
        return tuple((one["name"], one["value"]) for one in match.get(field, ()))

    return Hint(hosts, match["path"]["value"], match.get("method"), pairs("headers"), pairs("queryParams"))


def _path_change(seed: random.Random, *, prefixes: bool) -> dict[str, Any]:
    if prefixes and seed.random() < 0.6:
        return {"type": "ReplacePrefixMatch", "replacePrefixMatch": seed.choice(("/", "/new", "/new/", "/n/e"))}
    return {"type": "ReplaceFullPath", "replaceFullPath": seed.choice(("/full", "/", "/full/path/"))}


def _redirect(seed: random.Random, *, prefixes: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"statusCode": seed.choice((301, 302, 303, 307, 308))}
    said |= {"scheme": seed.choice(("http", "https"))} if seed.random() < 0.3 else {}
    said |= {"hostname": "else.example.com"} if seed.random() < 0.5 else {}
    said |= {"port": seed.choice((80, 443, 9000))} if seed.random() < 0.3 else {}
    said |= {"path": _path_change(seed, prefixes=prefixes)} if seed.random() < 0.5 else {}
    return {"type": "RequestRedirect", "requestRedirect": said}


def _rewrite(seed: random.Random, *, prefixes: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"path": _path_change(seed, prefixes=prefixes)} if seed.random() < 0.7 else {}
    said |= {"hostname": "inside.example.com"} if not said or seed.random() < 0.4 else {}
    return {"type": "URLRewrite", "urlRewrite": said}


def _headers(seed: random.Random) -> dict[str, Any]:
    change = {"set": [{"name": "x-set", "value": seed.choice(_VALUES)}], "remove": ["x-one"]}
    return {"type": "RequestHeaderModifier", "requestHeaderModifier": change}


def _cors(seed: random.Random) -> dict[str, Any]:
    return {"type": "CORS", "cors": _origins(seed)}


def _origins(seed: random.Random) -> dict[str, Any]:
    return {"allowOrigins": [seed.choice(("*", "https://a.example.com", "https://*.example.com"))], "allowMethods": ["GET"]}


# -- policies ---------------------------------------------------------------------------------------------------------


def _policy(seed: random.Random, name: str, routes: list[str]) -> dict[str, Any]:
    target: dict[str, Any] = {"group": _API, "kind": "HTTPRoute", "name": seed.choice(routes)}
    target |= {"sectionName": "rule0"} if seed.random() < 0.4 else {}
    if seed.random() < 0.2:
        target = {"group": _API, "kind": "Gateway", "name": "gw"}
    spec: dict[str, Any] = {"targetRefs": [target]}
    for field in seed.sample(tuple(_FIELDS), seed.choice((1, 1, 2))):
        # A field of the Gateway that answers everything would leave nothing to tell apart.
        if not (target["kind"] == "Gateway" and field in ("faultInjection", "basicAuth", "rbac", "urlRewrite")):
            spec[field] = _FIELDS[field](seed)
    if len(spec) == 1:
        spec["cors"] = _origins(seed)
    return _object(_OURS, "v1alpha1", "TrafficPolicy", name, spec)


def _basic(seed: random.Random) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha1(b"secret", usedforsecurity=False).digest()).decode()
    return {"users": [f"ann:{{SHA}}{digest}"]}


def _acl(seed: random.Random) -> dict[str, Any]:
    action = seed.choice(("allow", "deny"))
    other = "deny" if action == "allow" else "allow"
    rules = [{"name": "some", "action": other, "cidrs": [seed.choice(("127.0.0.0/8", "10.1.0.0/16"))]}]
    return {"defaultAction": action, "rules": rules} | (
        {"denyResponse": {"statusCode": seed.choice((404, 429))}} if seed.random() < 0.5 else {}
    )


_FIELDS = {
    "csrf": lambda seed: {"percentageEnabled": 100, "additionalOrigins": [{"suffix": ".example.net"}]},
    "cors": lambda seed: _origins(seed) if seed.random() < 0.8 else {"disable": {}},
    "faultInjection": lambda seed: {"abort": {"httpStatus": seed.choice((429, 503))}},
    "urlRewrite": lambda seed: {"pathRegex": {"pattern": seed.choice(("/(a|b)/", "^/a(.*)$", "b*")), "substitution": r"/z\0"}},
    "basicAuth": _basic,
    "acl": _acl,
    "rbac": lambda seed: {"action": seed.choice(("Allow", "Deny")), "policy": {"matchExpressions": ["request.headers['x-one'] == '1'"]}},
    "headerModifiers": lambda seed: {"request": {"set": [{"name": "x-policy", "value": "1"}]}},
}


def _listener_policy(seed: random.Random) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if seed.random() < 0.5:
        change: dict[str, Any] = {"set": [{"name": "x-early", "value": seed.choice(_VALUES)}]}
        settings["earlyRequestHeaderModifier"] = change | ({"remove": ["x-two"]} if seed.random() < 0.3 else {})
    if seed.random() < 0.3:
        # An upgrade that is held at a health check is answered when this time is over.
        settings |= {"healthCheck": {"path": "/a"}, "streamIdleTimeout": "10s"}
    if seed.random() < 0.4:
        settings["stripHostPortMode"] = "AnyPort"
    if seed.random() < 0.4 or not settings:
        settings["xffNumTrustedHops"] = 1
    target = {"group": _API, "kind": "Gateway", "name": "gw"}
    return _object(_OURS, "v1alpha1", "ListenerPolicy", "lp", {"targetRefs": [target], "default": {"httpSettings": settings}})


# -- requests ---------------------------------------------------------------------------------------------------------


def request(seed: random.Random, drawn: Table) -> Request:
    """Made from a rule of the table, then perhaps spoilt in one place: a near miss."""
    hint = seed.choice(drawn.hints)
    host = seed.choice(hint.hosts).replace("*", seed.choice(("w", "w.v")))
    path = seed.choice(_REGEXES.get(hint.path, (hint.path,)))
    path = path.rstrip("/") + "/tail" if seed.random() < 0.25 else path
    method = hint.method or seed.choice(_METHODS)
    headers = [(name, _value(seed, value)) for name, value in hint.headers]
    query = [(name, _value(seed, value)) for name, value in hint.query]
    port = seed.choice((HTTP, OTHER, HTTPS))
    sni = host if port == HTTPS else None
    match seed.randrange(24):
        case 0:
            host = seed.choice(_HOSTS)
        case 1:
            path += "x"
        case 2:
            headers = [(name, seed.choice(("9", f"{value}9"))) for name, value in headers]
        case 3:
            method = seed.choice(_METHODS)
        case 4:
            query = [*query, *((name, "9") for name, _ in query)]
        case 5:
            headers = [*headers, *headers]
        case 6:
            path = seed.choice(("/a/../b/c", "/%61/b", "/a%2Fb", "//a//b", "/a/./b", "/a/%2e%2e/b", "/a/b/..", "/a\\b", "/a;b"))
        case 7:
            host = seed.choice((f"{host}:{port}", f"{host}:80", f"{host}:443", host.upper()))
        case 8:
            query = [(name.upper(), value) for name, value in query] or [("p", "%31")]
        case 9:
            headers = [(name, f" {value}".upper()) for name, value in headers]
    headers += _asides(seed, host)
    text = "&".join(f"{name}={value}" for name, value in query)
    return Request(method, host, f"{path}?{text}" if text else path, port, sni, tuple(headers))


def _asides(seed: random.Random, host: str) -> list[tuple[str, str]]:
    """Headers that filters look at."""
    found: list[tuple[str, str]] = []
    if seed.random() < 0.3:
        origin = seed.choice((f"https://{host}", "https://a.example.com", "https://evil.org", "https://x.example.net"))
        found.append((seed.choice(("origin", "origin", "referer")), origin))
    if seed.random() < 0.15:
        found.append(("access-control-request-method", "PUT"))
    if seed.random() < 0.15:
        word = seed.choice((b"ann:secret", b"ann:wrong", b"bob:secret", b"nothing"))
        found.append(("authorization", f"Basic {base64.b64encode(word).decode()}"))
    if seed.random() < 0.15:
        found.append(("x-forwarded-for", seed.choice(("10.1.2.3", "10.2.3.4, 10.1.2.3", "nobody"))))
    if seed.random() < 0.05:
        found.append(("x-forwarded-proto", seed.choice(("http", "https"))))
    if seed.random() < 0.03:
        found += [("connection", "upgrade"), ("upgrade", seed.choice(("h2c", "other")))]
    return found


def _value(seed: random.Random, value: str) -> str:
    return seed.choice(_VALUE_REGEXES.get(value, (value,)))
