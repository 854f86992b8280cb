"""Work does not grow with what did not change: counted in reruns, items read and bytes, not in time."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from engine.engine import Engine
from engine.events import Change, Put
from engine.seal import KEY_BYTES, Sealer
from tests.support.certificate import pair
from tests.support.manifests import API, change_set, delete, endpoints, gateway, put, route, service

_SIZES = (100, 20_000)
_SET = 1_000
"""Routes a change set."""
_SEALER = Sealer(bytes(KEY_BYTES))
_SECTION = [{"name": "gw", "sectionName": "http"}]
_LISTENERS = (
    {"name": "http", "port": 8080, "protocol": "HTTP"},
    {"name": "https", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "certificate"}]}},
)


def _secret(generation: int = 1) -> Put:
    certificate, key = pair(ec.generate_private_key(ec.SECP256R1()))
    data = {"tls.crt": _SEALER.seal_text(certificate), "tls.key": _SEALER.seal_text(key)}
    return put("", "v1", "Secret", "certificate", {"type": "kubernetes.io/tls", "data": data}, generation)


def _backend(address: str, generation: int = 1) -> Put:
    spec = {"type": "Static", "static": {"hosts": [{"host": address, "port": 9000}]}}
    return put("gateway.kgateway.dev", "v1alpha1", "Backend", "b", {"spec": spec}, generation)


def _class(description: str, generation: int = 1) -> Put:
    spec = {"controllerName": "penstock.dev/gateway-controller", "description": description}
    return put(API, "v1", "GatewayClass", "penstock", {"spec": spec}, generation)


def _route(name: str, backend: str, path: str = "/", generation: int = 1, **spec: Any) -> Put:
    return route(name, backend, path, generation, parentRefs=_SECTION, hostnames=[f"{name}.example.com"], **spec)


def _gateway(label: str, generation: int = 1) -> Put:
    one = gateway("gw", *_LISTENERS, generation=generation)
    metadata = {**one.object["metadata"], "labels": {"edited": label}}
    return Put(one.ref, {**one.object, "metadata": metadata})


def _answer(body: str, generation: int = 1) -> Put:
    spec = {"status": 200, "body": body}
    return put("gateway.kgateway.dev", "v1alpha1", "DirectResponse", "d", {"spec": spec}, generation)


_BY_ITSELF = {"group": "gateway.kgateway.dev", "kind": "DirectResponse", "name": "d"}
_ANSWERS = [{"filters": [{"type": "ExtensionRef", "extensionRef": _BY_ITSELF}]}]
_TO_BACKEND = [{"backendRefs": [{"group": "gateway.kgateway.dev", "kind": "Backend", "name": "b"}]}]
_BASE: list[Put] = [_class("a"), _gateway("no"), _secret(), _backend("127.0.0.1"), _route("b", "", rules=_TO_BACKEND)]
_BASE += [_answer("a"), _route("d", "", rules=_ANSWERS), _route("d2", "", rules=_ANSWERS)]


def _engine(routes: int) -> Engine:
    engine = Engine(_SEALER)
    engine.apply(change_set(*_BASE), 0)
    for first in range(0, routes, _SET):
        numbers = range(first, min(first + _SET, routes))
        changes = [one for at in numbers for one in (service(f"s{at}"), endpoints(f"s{at}"), _route(f"r{at}", f"s{at}"))]
        engine.apply(change_set(*changes, number=first + 1), first + 1)
    return engine


_GRANT = {
    "spec": {
        "from": [{"group": API, "kind": "HTTPRoute", "namespace": "other"}],
        "to": [{"group": "", "kind": "Service"}],
    }
}
_EDITS: dict[str, Change] = {
    "HTTPRoute": _route("r5", "s5", "/edited", 2),
    "EndpointSlice": endpoints("s5", "127.0.0.2"),
    "Service": service("s5", 2, appProtocol="kubernetes.io/h2c"),
    "ReferenceGrant": put(API, "v1", "ReferenceGrant", "grant", _GRANT),
    "Namespace": put("", "v1", "Namespace", "default", {"metadata": {"labels": {"a": "b"}}}),
    "Secret": _secret(2),
    "Backend": _backend("127.0.0.2", 2),
    "DirectResponse": _answer("b", 2),
    "GatewayClass": _class("b", 2),
    "labels of the Gateway": _gateway("yes", 2),
    "new HTTPRoute": _route("new", "s5", "/new"),
    "gone HTTPRoute": delete(_route("r7", "s7")),
    "gone Service": delete(service("s8")),
    "gone EndpointSlice": delete(endpoints("s9")),
}
_SILENT = {"ReferenceGrant", "Namespace", "GatewayClass", "gone HTTPRoute"}
"""Edits that set no fragment here: nobody depends on them, or what they change is only removed."""


def _work(engine: Engine, edit: Change, offset: int) -> tuple[int, int, int]:
    """Queries rerun, items that they read, bytes emitted."""
    work = engine.graph.work
    reruns, items = work.reruns, work.items
    update = engine.apply(change_set(edit, number=offset), offset)
    emitted = sum(len(one.payload) for one in update.fragments.set.values())
    return work.reruns - reruns, work.items - items, emitted


Costs = dict[str, tuple[int, int, int]]


@pytest.fixture(scope="module")
def costs() -> tuple[Costs, Costs]:
    """What each edit costs with few and with many routes on one listener."""
    few, many = [_engine(size) for size in _SIZES]
    last = max(_SIZES) + 1
    return (
        {name: _work(few, edit, last + at) for at, (name, edit) in enumerate(_EDITS.items())},
        {name: _work(many, edit, last + at) for at, (name, edit) in enumerate(_EDITS.items())},
    )


@pytest.mark.parametrize("kind", _EDITS)
def test_an_edit_costs_the_same_at_any_size(kind: str, costs: tuple[Costs, Costs]) -> None:
    """Queries rerun, items read and bytes emitted are equal with 100 and with 20,000 routes."""
    few, many = costs
    assert few[kind] == many[kind]
    assert bool(few[kind][2]) is (kind not in _SILENT), few[kind]


_THEIRS = [{"name": "theirs", "sectionName": "http"}]
_FOREIGN = {
    "new": lambda: _foreign("new"),
    "edited": lambda: _foreign("f5", "/edited", 2),
    "gone": lambda: delete(_foreign("f7")),
}


def _foreign(name: str, path: str = "/", generation: int = 1) -> Put:
    return route(name, "s5", path, generation, parentRefs=_THEIRS, hostnames=[f"{name}.example.com"])


def _beside(foreign: int) -> Engine:
    """An engine of ours with ten routes, beside another controller's Gateway with many."""
    engine = _engine(10)
    spec = {"gatewayClassName": "theirs", "listeners": [dict(_LISTENERS[0])]}
    engine.apply(change_set(put(API, "v1", "Gateway", "theirs", {"spec": spec}), number=1), 1_000)
    for first in range(0, foreign, _SET):
        routes = [_foreign(f"f{at}") for at in range(first, min(first + _SET, foreign))]
        update = engine.apply(change_set(*routes, number=first + 2), 1_001 + first)
        assert not (update.fragments.set or update.nodes.set or update.statuses.set or update.infra.set)
    return engine


@pytest.mark.parametrize("edit", _FOREIGN)
def test_a_route_of_another_class_costs_the_same_beside_any_number_and_puts_nothing_out(edit: str) -> None:
    few, many = [_work(_beside(size), _FOREIGN[edit](), 10_000) for size in (10, 5_000)]
    assert few == many
    assert few[2] == 0, "no bytes"
    assert few[0] <= 3, "asked whose it is, and no more"


def test_a_route_of_ours_costs_the_same_beside_any_number_of_another_class() -> None:
    edit = _EDITS["HTTPRoute"]
    none, many = [_work(_beside(size), edit, 10_000) for size in (0, 5_000)]
    assert none == many
