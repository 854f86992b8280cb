"""The revision of an object is the one that a Gateway is served: of a pin, a rollback, or the last good one."""

from __future__ import annotations

from typing import Any

from engine.engine import VERSION
from engine.events import Change, Override, Pin, Quarantine, Unpin
from engine.history.explain import configs, request_of
from engine.history.explain.explanation import explanation
from engine.history.revisions import Revisions
from tests.engine.test_pins import NEW, OLD, World
from tests.support.manifests import delete, gateway, put, route
from tests.support.story import SEALER

_GATEWAY = gateway("gw").ref
_BOTH = [{"name": "gw"}, {"name": "other"}]


def told(world: World, kind: str = "HTTPRoute", of: str = "gw", port: int = 8080) -> tuple[str, dict[str, Any]]:
    """The backend that answers, and what is said of the object of a kind."""
    every = configs(world.engine.everything().fragments.set, SEALER)
    revisions = Revisions(world.engine.state().items(), VERSION)
    found = explanation(every[gateway(of).ref], request_of("GET", f"http://x:{port}/"), revisions)
    (one,) = [each for each in found["objects"] if each["object"].startswith(f"{kind} ")]
    return found["outcomes"][0].get("backend", ""), one


def rejected(world: World, kind: str, change: Any) -> None:
    fragments = world.engine.everything().fragments.set.values()
    guilty = next(one for one in fragments if one.key.kind.value == kind and one.key.gateway == _GATEWAY)
    generation = change.object["metadata"]["generation"]
    objects = ((change.ref, generation),)
    world.tell(Quarantine(_GATEWAY, str(guilty.key), guilty.version, objects, "no such thing", "1.40"), source="publisher")


def said(one: dict[str, Any]) -> tuple[Any, ...]:
    return one["generation"], one["offset"], one["actor"], one["because"]


def test_what_is_served_as_it_is_written() -> None:
    world = World(OLD)
    world.tell(NEW)
    backend, one = told(world)
    assert "_t_" in backend
    assert said(one) == (2, 2, "anna", "")
    assert one["written"] is None


def test_of_a_rollback() -> None:
    world = World(OLD)
    world.tell(NEW)
    world.control(Pin("p", None, 1, "it broke", "", False), Override("p", OLD.ref, OLD.object))
    backend, one = told(world)
    assert "_s_" in backend
    assert said(one) == (1, None, None, "as of offset 1 by rollback p of anna: it broke")
    assert (one["written"]["generation"], one["written"]["offset"]) == (2, 2)
    world.control(Unpin("p"))
    assert said(told(world)[1])[0] == 2


def test_of_the_latest_of_several_rollbacks() -> None:
    world = World(OLD)
    world.tell(NEW)
    world.control(Pin("b", None, 1, "first", "", False), Override("b", OLD.ref, OLD.object))
    world.control(Pin("a", None, 2, "second", "", False), Override("a", NEW.ref, NEW.object))
    assert said(told(world)[1])[::3] == (2, "as of offset 2 by rollback a of anna: second")


def test_of_an_object_that_its_source_has_no_longer() -> None:
    world = World(OLD)
    world.tell(delete(OLD))
    world.control(Pin("p", None, 1, "it broke", "", False), Override("p", OLD.ref, OLD.object))
    backend, one = told(world)
    assert "_s_" in backend
    assert (one["generation"], one["written"]) == (1, None)
    assert "rollback p" in one["because"]


def test_a_pin_counts_for_its_gateway_alone() -> None:
    old, new = route("r", parentRefs=_BOTH), route("r", "t", generation=2, parentRefs=_BOTH)
    world = World(old)
    world.control(Pin("p", _GATEWAY, 1, "it broke", "", False))
    world.tell(new)
    assert said(told(world)[1])[::3] == (1, "as of offset 1 by pin p of anna: it broke")
    assert said(told(world, of="other", port=8081)[1]) == (2, 3, "anna", "")


def test_what_a_proxy_refuses() -> None:
    world = World(OLD)
    world.tell(NEW)
    rejected(world, "route", NEW)
    backend, one = told(world)
    assert "_s_" in backend
    assert said(one) == (1, None, None, "generation 2 is held back since offset 3: no such thing")
    assert (one["written"]["generation"], one["written"]["offset"]) == (2, 2)


def test_what_a_proxy_refuses_of_a_rollback() -> None:
    world = World(OLD)
    world.tell(NEW)
    third = route("r", path="/", generation=3)
    world.tell(third)
    world.control(Pin("p", None, 2, "it broke", "", False), Override("p", NEW.ref, NEW.object, OLD.object))
    rejected(world, "route", NEW)
    backend, one = told(world)
    assert "_s_" in backend
    assert said(one)[0] == 1
    assert one["written"]["generation"] == 3
    assert one["because"].startswith("as of offset 2 by rollback p of anna: it broke; generation 2 is held back since")


def _policy(generation: int, name: str) -> Any:
    target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "r"}
    change = {"request": {"set": [{"name": name, "value": "1"}]}}
    spec = {"targetRefs": [target], "headerModifiers": change}
    return put("gateway.kgateway.dev", "v1alpha1", "TrafficPolicy", "p", {"spec": spec}, generation)


def test_a_policy_that_a_proxy_refuses() -> None:
    """Its fragment still names the generation that is written."""
    world = World(OLD, _policy(1, "x-one"))
    bad = _policy(2, "x-two")
    world.tell(bad)
    rejected(world, "route", bad)
    assert said(told(world, "TrafficPolicy")[1])[::3] == (1, "generation 2 is held back since offset 3: no such thing")


def test_what_its_model_refuses() -> None:
    world = World(OLD)
    spec: dict[str, Any] = {**OLD.object["spec"], "rules": 7}
    bad = put("gateway.networking.k8s.io", "v1", "HTTPRoute", "r", {"spec": spec}, 2)
    changes: list[Change] = [bad]
    world.tell(*changes)
    _, one = told(world)
    assert one["generation"] == 1
    assert one["because"].startswith("generation 2 is held back: ")
    assert one["refused"]


def test_nothing_is_left_of_what_was_bad_from_the_start() -> None:
    world = World(OLD)
    rejected(world, "route", OLD)
    _, one = told(world)
    assert said(one) == (1, 1, "anna", "generation 1 is held back since offset 2, and nothing of it is served: no such thing")
