"""A court comes to an end: what was held stays held while what is served without it is rejected as well."""

from __future__ import annotations

import pytest

from engine.engine import Engine
from engine.events import Put, Quarantine
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKind
from tests.support.manifests import API, change_set, endpoints, gateway, put, route, service

_GROUP = "gateway.kgateway.dev"


def _policy(kind: str, target: str, name: str, **spec: object) -> Put:
    targets = [{"group": API, "kind": target, "name": name}]
    return put(_GROUP, "v1alpha1", kind, "p", {"spec": {"targetRefs": targets, **spec}})


def _rejected(engine: Engine, kind: FragmentKind, turns: int) -> list[str]:
    """The versions of a fragment of which no version is taken, each after the verdict on the one before."""
    seen: list[str] = []
    for turn in range(10, 10 + turns):
        (one,) = (each for each in engine.everything().fragments.set.values() if each.key.kind is kind)
        seen.append(one.version)
        engine.apply(change_set(_verdict(one), number=turn, source="publisher"), turn)
    return seen


def _verdict(one: Fragment) -> Quarantine:
    return Quarantine(one.key.gateway, str(one.key), one.version, one.provenance, "no", "1.40.0", "")


@pytest.mark.parametrize("kind", [FragmentKind.LISTENER, FragmentKind.ROUTE])
def test_two_bad_objects_behind_one_fragment_do_not_take_turns(kind: FragmentKind) -> None:
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    engine.apply(change_set(gateway(), service(), endpoints(), route("r")), 0)
    engine.apply(change_set(gateway(generation=2), route("r", path="/bad", generation=2), number=1), 1)
    policies = [
        _policy("ListenerPolicy", "Gateway", "gw", default={"perConnectionBufferLimitBytes": 1000}),
        _policy("TrafficPolicy", "HTTPRoute", "r", timeouts={"request": "3s"}),
    ]
    engine.apply(change_set(policies[kind is FragmentKind.ROUTE], number=2), 2)
    seen = _rejected(engine, kind, 8)
    assert len(set(seen[4:])) == 1, "it ends"
    assert not set(seen[4:]) & set(seen[:1]), "and not with what was rejected first"


def test_what_its_model_refuses_now_has_no_good_revision_once_that_is_rejected_too() -> None:
    """An engine that goes on and one that is built anew say the same."""
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    engine.apply(change_set(gateway(), service(), endpoints(), route("r", path="/x")), 0)
    engine.apply(change_set(put(API, "v1", "HTTPRoute", "r", {"spec": {"nonsense": True}}, 2), number=1), 1)
    for turn in (2, 3):
        (one,) = (each for each in engine.everything().fragments.set.values() if each.key.kind is FragmentKind.ROUTE)
        engine.apply(change_set(_verdict(one), number=turn, source="publisher"), turn)
        anew = Engine(Sealer(bytes(KEY_BYTES)))
        anew.load(engine.state().items())
        assert anew.everything().fragments.set.keys() == engine.everything().fragments.set.keys()
        assert anew.everything().statuses.set.keys() == engine.everything().statuses.set.keys()
