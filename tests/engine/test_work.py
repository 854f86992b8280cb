"""Work does not grow with what did not change: counted in reruns, items read and bytes, not in time."""

from __future__ import annotations

import pytest

from engine.engine import Engine
from engine.events import Put
from engine.seal import KEY_BYTES, Sealer
from tests.support.manifests import API, change_set, endpoints, gateway, put, route, service


def _engine(routes: int) -> Engine:
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    changes: list[Put] = [gateway()]
    for number in range(routes):
        changes += [
            service(f"s{number}"),
            endpoints(f"s{number}"),
            route(f"r{number}", f"s{number}", hostnames=[f"h{number}.example.com"]),
        ]
    engine.apply(change_set(*changes), 0)
    return engine


_GRANT = {
    "spec": {
        "from": [{"group": API, "kind": "HTTPRoute", "namespace": "other"}],
        "to": [{"group": "", "kind": "Service"}],
    }
}
_EDITS = {
    "HTTPRoute": route("r5", "s5", "/edited", 2, hostnames=["h5.example.com"]),
    "EndpointSlice": endpoints("s5", "127.0.0.2"),
    "Service": service("s5", 2, appProtocol="kubernetes.io/h2c"),
    "ReferenceGrant": put(API, "v1", "ReferenceGrant", "grant", _GRANT),
    "Namespace": put("", "v1", "Namespace", "default", {"metadata": {"labels": {"a": "b"}}}),
    "new HTTPRoute": route("new", "s5", "/new", hostnames=["new.example.com"]),
}


def _work(engine: Engine, edit: Put) -> tuple[int, int, int]:
    work = engine.graph.work
    reruns, items = work.reruns, work.items
    update = engine.apply(change_set(edit, number=1), 1)
    emitted = sum(len(one.payload) for one in update.fragments.set.values())
    return work.reruns - reruns, work.items - items, emitted


@pytest.fixture(scope="module")
def sizes() -> tuple[dict[str, tuple[int, int, int]], dict[str, tuple[int, int, int]]]:
    """What each edit costs at 100 and at 3,000 routes on one listener."""
    small, large = _engine(100), _engine(3000)
    return {name: _work(small, edit) for name, edit in _EDITS.items()}, {
        name: _work(large, edit) for name, edit in _EDITS.items()
    }


@pytest.mark.parametrize("kind", _EDITS)
def test_an_edit_costs_the_same_at_any_size(kind: str, sizes: tuple[dict[str, object], dict[str, object]]) -> None:
    """Queries rerun, items read and bytes emitted are equal at 100 and at 3,000 routes."""
    small, large = sizes
    assert small[kind] == large[kind]
