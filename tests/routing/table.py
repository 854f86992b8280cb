"""Random route tables and requests, seeded; small alphabets, so that rules collide and requests nearly match."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from tests.routing.reference import Match, Request, Route

_HOSTS = ("a.example.com", "b.example.com", "x.a.example.com", "example.com", "other.org")
_PATTERNS = (*_HOSTS, "*.example.com", "*.a.example.com", "*.com")
_PATHS = ("/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b", "/b/c")
_METHODS = ("GET", "POST", "PUT")
_NAMES = ("x-one", "x-two")
_VALUES = ("1", "2")


def routes(seed: random.Random, count: int) -> list[Route]:
    """A table."""
    return [
        Route(
            f"r{number:02d}",
            f"2026-01-0{seed.randint(1, 3)}T00:00:00Z",
            tuple(sorted(seed.sample(_PATTERNS, seed.choice((0, 1, 1, 1, 2))))),
            tuple(tuple(_match(seed) for _ in range(seed.choice((1, 1, 2)))) for _ in range(seed.choice((1, 2, 3)))),
        )
        for number in range(count)
    ]


def _match(seed: random.Random) -> Match:
    return Match(
        seed.choice(("Exact", "PathPrefix", "PathPrefix")),
        seed.choice(_PATHS),
        seed.choice((None, None, *_METHODS)),
        tuple((name, seed.choice(_VALUES)) for name in _NAMES if seed.random() < 0.25),  # noqa: PLR2004
        tuple((name, seed.choice(_VALUES)) for name in ("p", "q") if seed.random() < 0.2),  # noqa: PLR2004
    )


def request(seed: random.Random, table: Sequence[Route]) -> Request:
    """Mostly made from a rule of the table, then perhaps spoilt in one place: a near miss."""
    route = seed.choice(table)
    match = seed.choice(seed.choice(route.rules))
    pattern = seed.choice(route.hostnames or _HOSTS)
    host = pattern.replace("*", seed.choice(("w", "w.v")))
    path = match.path
    if match.path_type == "PathPrefix" and seed.random() < 0.4:  # noqa: PLR2004
        path = path.rstrip("/") + "/tail"
    method = match.method or seed.choice(_METHODS)
    headers, query = dict(match.headers), dict(match.query)
    spoilt = seed.random()
    if spoilt < 0.1:  # noqa: PLR2004
        host = seed.choice(_HOSTS)
    elif spoilt < 0.2:  # noqa: PLR2004
        path = (path.rstrip("/") or "/") + "x"
    elif spoilt < 0.3:  # noqa: PLR2004
        headers = dict.fromkeys(headers, "9")
    elif spoilt < 0.4:  # noqa: PLR2004
        method = seed.choice(_METHODS)
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return Request(host, path, text, method, tuple(headers.items()))


def manifests(table: Sequence[Route]) -> list[dict[str, Any]]:
    """The table as a user writes it: every rule redirects to a name that tells which it is."""
    return [_gateway(), *[_route(route) for route in table]]


def _gateway() -> dict[str, Any]:
    listener = {"name": "http", "port": 8080, "protocol": "HTTP"}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "gw", "namespace": "default"},
        "spec": {"gatewayClassName": "penstock", "listeners": [listener]},
    }


def _route(route: Route) -> dict[str, Any]:
    spec: dict[str, Any] = {"parentRefs": [{"name": "gw"}]}
    if route.hostnames:
        spec["hostnames"] = list(route.hostnames)
    spec["rules"] = [
        {
            "matches": [_written(match) for match in rule],
            "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": f"{route.name}.rule-{index}"}}],
        }
        for index, rule in enumerate(route.rules)
    ]
    metadata = {"name": route.name, "namespace": "default", "creationTimestamp": route.created}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": spec,
    }


def _written(match: Match) -> dict[str, Any]:
    written: dict[str, Any] = {"path": {"type": match.path_type, "value": match.path}}
    if match.method:
        written["method"] = match.method
    if match.headers:
        written["headers"] = [{"name": name, "value": value} for name, value in match.headers]
    if match.query:
        written["queryParams"] = [{"name": name, "value": value} for name, value in match.query]
    return written
