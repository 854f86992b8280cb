"""As for HTTPRoutes, so for every kind of route: an edit costs the same among a hundred and among three thousand."""

from __future__ import annotations

from typing import Any

import pytest

from engine.engine import Engine
from engine.events import Change, Put
from tests.engine.test_work import _SEALER, _SET, Costs, _work
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, service

_SIZES = (100, 3_000)
_LISTENERS: dict[str, dict[str, Any]] = {
    "GRPCRoute": {"name": "l", "port": 8080, "protocol": "HTTP"},
    "TCPRoute": {"name": "l", "port": 8080, "protocol": "TCP"},
    "UDPRoute": {"name": "l", "port": 8080, "protocol": "UDP"},
    "TLSRoute": {"name": "l", "port": 8080, "protocol": "TLS", "tls": {"mode": "Passthrough"}},
}


def _route(kind: str, name: str, backend: str, generation: int = 1, **spec: Any) -> Put:
    spec = {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": [{"name": backend, "port": 80}]}], **spec}
    if kind not in {"TCPRoute", "UDPRoute"}:
        spec.setdefault("hostnames", [f"{name}.example.com"])
    return put(API, "v1", kind, name, {"spec": spec}, generation)


def _service(kind: str, name: str) -> Put:
    return service(name, **({"protocol": "UDP"} if kind == "UDPRoute" else {}))


def _engine(kind: str, routes: int) -> Engine:
    engine = Engine(_SEALER)
    engine.apply(change_set(gateway("gw", _LISTENERS[kind])), 0)
    for first in range(0, routes, _SET):
        numbers = range(first, min(first + _SET, routes))
        changes = [
            one
            for at in numbers
            for one in (_service(kind, f"s{at}"), endpoints(f"s{at}"), _route(kind, f"r{at}", f"s{at}"))
        ]
        engine.apply(change_set(*changes, number=first + 1), first + 1)
    return engine


def _edits(kind: str) -> dict[str, Change]:
    edits: dict[str, Change] = {
        "another backend": _route(kind, "r5", "s6", 2),
        "new": _route(kind, "s-new", "s5"),
        "gone": delete(_route(kind, "r7", "s7")),
        "gone Service": delete(service("s8")),
        "other endpoints": endpoints("s9", "127.0.0.2"),
        "oldest gone": delete(_route(kind, "r0", "s0")),
    }
    if kind not in {"TCPRoute", "UDPRoute"}:
        edits["other hostnames"] = _route(kind, "r10", "s10", 2, hostnames=["other.example.com", "r11.example.com"])
    return edits


@pytest.mark.parametrize("kind", _LISTENERS)
def test_an_edit_of_any_kind_of_route_costs_the_same_at_any_size(kind: str) -> None:
    """Queries rerun, items read and bytes emitted."""
    costs: list[Costs] = []
    for size in _SIZES:
        engine = _engine(kind, size)
        found = {name: _work(engine, edit, 9_000 + at) for at, (name, edit) in enumerate(_edits(kind).items())}
        costs.append(found)
    assert costs[0] == costs[1]
    assert costs[0]["another backend"][0]
    assert costs[0]["oldest gone"][2] or kind in {"GRPCRoute", "TLSRoute"}


def test_rivals_cost_the_same_at_any_size() -> None:
    """A GRPCRoute among HTTPRoutes on one listener, with a hostname that an older one has."""
    costs = []
    for size in _SIZES:
        engine = _engine("GRPCRoute", size)
        taken = put(API, "v1", "HTTPRoute", "z", {"spec": {"parentRefs": [{"name": "gw"}], "hostnames": ["r5.example.com"]}})
        free = put(API, "v1", "HTTPRoute", "y", {"spec": {"parentRefs": [{"name": "gw"}], "hostnames": ["y.example.com"]}})
        costs.append([_work(engine, edit, 9_000 + at) for at, edit in enumerate((taken, free, delete(taken), delete(free)))])
        assert costs[-1][0][2] == 0
    assert costs[0] == costs[1]


def test_a_backend_tls_policy_costs_the_same_at_any_size() -> None:
    """It comes, changes and goes for one Service of many."""

    def policy(hostname: str, generation: int = 1) -> Put:
        spec = {
            "targetRefs": [{"group": "", "kind": "Service", "name": "s5"}],
            "validation": {"hostname": hostname, "wellKnownCACertificates": "System"},
        }
        return put(API, "v1", "BackendTLSPolicy", "p", {"spec": spec}, generation)

    costs = []
    for size in _SIZES:
        engine = _engine("GRPCRoute", size)
        edits = (policy("a.example.com"), policy("b.example.com", 2), delete(policy("b.example.com")))
        costs.append([_work(engine, edit, 9_000 + at) for at, edit in enumerate(edits)])
        assert all(emitted for _, _, emitted in costs[-1])
    assert costs[0] == costs[1]
