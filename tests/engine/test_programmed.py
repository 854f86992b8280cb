"""The offsets that Programmed waits for: of a Gateway and of what is a part of it, in updates as in all that is wanted."""

from __future__ import annotations

from engine.events import Put
from tests.engine.test_pins import World
from tests.support.manifests import API, gateway, put

_HTTP = {"name": "http", "port": 8080, "protocol": "HTTP"}
_MORE = {"name": "more", "port": 8082, "protocol": "HTTP"}


def _gateway(*listeners: dict[str, object], generation: int) -> Put:
    made = gateway("gw", *listeners, generation=generation)
    lets_in = {"allowedListeners": {"namespaces": {"from": "Same"}}}
    return Put(made.ref, {**made.object, "spec": {**made.object["spec"], **lets_in}})


def _set(name: str, gateway: str = "gw") -> Put:
    listeners = [{"name": name, "port": 8090, "protocol": "HTTP", "hostname": f"{name}.example.com"}]
    return put(API, "v1", "ListenerSet", name, {"spec": {"parentRef": {"name": gateway}, "listeners": listeners}})


def test_a_listener_set_waits_for_what_its_gateway_waits_for() -> None:
    """Its update said nothing of it: Programmed stayed of the offset before, until something else of it changed."""
    world = World(_gateway(_HTTP, generation=2), _set("a"))
    update = world.tell(_gateway(_HTTP, _MORE, generation=3))
    gw = str(gateway("gw").ref)
    assert update.statuses.set[gw]["programmed"] == {gw: update.offset}
    assert update.statuses.set[str(_set("a").ref)]["programmed"] == {gw: update.offset}


def test_a_listener_set_of_another_gateway_waits_for_nothing() -> None:
    world = World(_gateway(_HTTP, generation=2), _set("a"), _set("b", "other"))
    update = world.tell(_gateway(_HTTP, _MORE, generation=3))
    assert str(_set("b", "other").ref) not in update.statuses.set


def test_listener_sets_of_one_gateway_wait_for_each_other() -> None:
    world = World(_gateway(_HTTP, generation=2), _set("a"))
    update = world.tell(_set("b"))
    for name in "ab":
        assert list(update.statuses.set[str(_set(name).ref)]["programmed"].values()) == [update.offset]
