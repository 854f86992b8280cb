"""Worlds of HTTPRoutes that delegate to one another in all ways: kept up to date equals built anew, and it ends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.events import Change
from engine.outputs.channels import FRAGMENT, STATUS
from engine.resolve.delegation import LABEL, MOST_WAYS
from tests.property.delegating import BELOW, delegating
from tests.property.test_incremental import _BATCHES, _LISTENERS, _SEALER, _apply, _broken
from tests.property.test_oracle import _kept, _oracle, _remembered, _without_offsets
from tests.support.manifests import API, change_set, delete, gateway, put, service

_ROOT = [
    {"matches": [{"path": {"value": "/"}}], "backendRefs": [BELOW[0], BELOW[-1]]},
    {"matches": [{"path": {"value": "/a"}}], "backendRefs": [BELOW[7]], "timeouts": {"request": "2s"}},
]
_BASE: list[Change] = [
    gateway("gw", _LISTENERS[0]),
    gateway("gw1", _LISTENERS[2]),
    service("s0"),
    service("s1"),
    put(API, "v1", "HTTPRoute", "root", {"spec": {"parentRefs": [{"name": "gw"}], "rules": _ROOT}}),
]
_ROUTES = st.tuples(st.integers(0, 2), st.integers(1, 3)).flatmap(lambda one: delegating(*one))
_CHANGES = st.lists(
    st.tuples(_ROUTES, st.sampled_from(["stays", "stays", "stays", "stays", "goes", "breaks"])).map(
        lambda one: {"goes": [one[0], delete(one[0])], "breaks": [one[0], _broken(one[0])]}.get(one[1], [one[0]])
    ),
    min_size=2,
    max_size=14,
).map(lambda many: [*_BASE, *(change for few in many for change in few)])


@settings(max_examples=100)
@given(_CHANGES, _BATCHES)
def test_delegation_kept_up_to_date_equals_delegation_built_anew(changes: list[Change], batches: list[int]) -> None:
    """Byte for byte, provenance included, against an evaluator without memory and against a boot from the state."""
    engine = _apply(changes, batches)
    kept = _without_offsets(_kept(engine))
    assert kept == _without_offsets(_oracle(_remembered(changes)))
    loaded = Engine(_SEALER)
    loaded.load(engine.state().items())
    assert _without_offsets(_kept(loaded)) == kept


_MANY = 12


def test_routes_that_all_delegate_to_one_another_end() -> None:
    """Without a bound there are more ways through twelve routes than anybody can count."""
    group = {"group": "delegation.kgateway.dev", "kind": "label"}
    below = [*({**group, "name": str(at)} for at in range(_MANY)), {"name": "s0", "port": 80}]
    rules = [{"matches": [{"path": {"value": "/a"}}], "backendRefs": [one]} for one in below]
    routes: list[Change] = [
        put(API, "v1", "HTTPRoute", f"r{at}", {"metadata": {"labels": {LABEL: str(at)}}, "spec": {"rules": rules}})
        for at in range(_MANY)
    ]
    root = put(API, "v1", "HTTPRoute", "root", {"spec": {"parentRefs": [{"name": "gw"}], "rules": rules[:1]}}, 2)
    engine = Engine(_SEALER)
    update = engine.apply(change_set(*_BASE, *routes, root), 0)
    assert not update.warnings
    kept = _kept(engine)
    assert len([one for one in kept[FRAGMENT] if "/via/" in one]) <= _MANY * MOST_WAYS * len(rules)
    assert f"more than {MOST_WAYS} ways" in str(kept[STATUS])
