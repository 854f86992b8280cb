"""Pins and rollbacks: configuration of the past, resolved against what is there today, until it is lifted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.engine import Engine
from engine.events import (
    Admitted,
    Change,
    ChangeSet,
    Confirm,
    Delete,
    Override,
    Pin,
    Put,
    Quarantine,
    Refused,
    Tick,
    Unpin,
)
from engine.ref import Ref
from engine.update import Update
from tests.support.manifests import change_set, delete, endpoints, gateway, put, route, service
from tests.support.story import SEALER

LATER = "2026-11-24T10:30:00.000Z"
AFTER = "2026-11-24T10:30:00.001Z"


class World:
    """An engine under change sets; after each, a boot from its state wants the same, and the updates add up to it."""

    def __init__(self, *changes: Change) -> None:
        self.engine = Engine(SEALER)
        self.log: list[ChangeSet] = []
        self.seen: dict[str, dict[str, Any]] = {name: {} for name in ("fragments", "nodes", "statuses", "infra")}
        self.warnings: tuple[str, ...] = ()
        self.tell(gateway("gw"), gateway("other", {"name": "http", "port": 8081, "protocol": "HTTP"}))
        self.tell(service(), endpoints(), service("t"), endpoints("t", "127.0.0.9"), *changes)

    def tell(self, *changes: Change, source: str = "files", time: str = "") -> Update:
        one = change_set(*changes, number=len(self.log), source=source)
        self.log.append(replace(one, time=time or one.time, actor="anna"))
        update = self.engine.apply(self.log[-1], len(self.log) - 1)
        self.warnings = update.warnings
        for name, into in self.seen.items():
            delta = getattr(update, name)
            assert not delta.removed - into.keys(), name
            into.update(delta.set)
            for key in delta.removed:
                del into[key]
        self.check()
        return update

    def check(self) -> None:
        wanted = self.engine.everything()
        for name, into in self.seen.items():
            assert into == getattr(wanted, name).set, name
        loaded = Engine(SEALER)
        loaded.load(self.engine.state().items())
        assert loaded.everything() == wanted
        replayed = Engine(SEALER)
        for offset, one in enumerate(self.log):
            replayed.fold(one, offset)
        assert replayed.everything().fragments == wanted.fragments

    def control(self, *changes: Change) -> Update:
        return self.tell(*changes, source="control")

    def of(self, name: str) -> dict[str, str]:
        found = self.engine.everything().fragments.set.values()
        return {str(one.key): one.version for one in found if one.key.gateway.name == name}

    def says(self, ref: Ref) -> str:
        return str(self.engine.everything().statuses.set[str(ref)]["status"])


def _gateway(name: str = "gw") -> Ref:
    return gateway(name).ref


def _was(of: Put, pin: str = "p") -> Override:
    return Override(pin, of.ref, of.object)


def _pin(name: str = "p", of: str | None = "gw", until: str = "", *, on_trial: bool = False) -> Pin:
    return Pin(name, _gateway(of) if of else None, 1, "it broke", until, on_trial)


OLD = route("r")
NEW = route("r", backend="t", generation=2)


def _of_other(backend: str, generation: int) -> Put:
    return route("o", backend, generation=generation, parentRefs=[{"name": "other"}])


def test_a_pinned_gateway_alone_serves_the_past() -> None:
    both = [{"name": "gw"}, {"name": "other"}]
    world = World(route("r", parentRefs=both))
    then, theirs = world.of("gw"), world.of("other")
    world.tell(route("r", "t", generation=2, parentRefs=both))
    now = world.of("other")
    assert now != theirs
    world.control(_pin(), _was(route("r", parentRefs=both)))
    assert world.of("gw") == then
    assert world.of("other") == now


def test_what_changes_later_is_as_it_was() -> None:
    """Edited, made and deleted: none of it concerns the pinned gateway, and all of it comes with the unpin."""
    world = World(OLD, route("gone", path="/gone"))
    then = world.of("gw")
    world.control(_pin())
    world.tell(NEW, route("made", path="/made"), delete(route("gone")))
    assert world.of("gw") == then
    world.control(Unpin("p"))
    never = World(OLD, route("gone", path="/gone"))
    never.tell(NEW, route("made", path="/made"), delete(route("gone")))
    assert world.of("gw") == never.of("gw")
    assert "Pinned" not in world.says(_gateway())
    assert not any(key.startswith(("pin/", "override/")) for key in world.engine.state())


def test_endpoints_and_grants_are_todays() -> None:
    world = World(OLD)
    world.control(_pin())
    then = world.of("gw")
    world.tell(endpoints("s", "127.0.0.77", generation=2))
    assert world.of("gw") != then
    never = World(OLD)
    never.tell(endpoints("s", "127.0.0.77", generation=2))
    assert world.of("gw") == never.of("gw")


def test_a_gateway_that_is_deleted_while_pinned_is_served() -> None:
    world = World(OLD)
    world.control(_pin())
    then = world.of("gw")
    world.tell(Delete(_gateway()))
    assert world.of("gw") == then
    world.control(Unpin("p"))
    assert not world.of("gw")


def test_a_second_pin_takes_the_place_of_the_first() -> None:
    world = World(OLD)
    first = world.of("gw")
    world.tell(NEW)
    second = world.of("gw")
    world.tell(route("r", path="/c", generation=3))
    world.control(_pin("p"), _was(OLD))
    assert world.of("gw") == first
    world.control(_pin("q"), _was(NEW, "q"))
    assert world.of("gw") == second
    assert [key for key in world.engine.state() if key.startswith("pin/")] == ["pin/q"]


def test_a_pin_said_twice_is_one() -> None:
    world = World(OLD)
    world.tell(NEW)
    world.control(_pin(), _was(OLD))
    then, state = world.of("gw"), world.engine.state()["pin/p"]
    world.control(_pin(until=LATER), _was(NEW))
    assert world.of("gw") == then
    assert world.engine.state()["pin/p"] == state
    assert "without a pin of its own" in world.warnings[0]


def test_an_id_that_is_used_again_at_once_is_another_pin() -> None:
    """Its reading was the first one's: what was pinned then went on being served."""
    world = World(OLD)
    then = world.of("gw")
    world.tell(NEW)
    now = world.of("gw")
    world.control(_pin(), _was(OLD))
    assert world.of("gw") == then
    world.control(Unpin("p"), _pin(), _was(NEW))
    assert world.of("gw") == now


def test_a_rollback_is_of_its_objects_only_and_what_sources_say_goes_on_beneath() -> None:
    world = World(OLD, _of_other("s", 1))
    then = world.of("gw")
    world.tell(NEW)
    world.control(_pin(of=None), _was(OLD))
    assert world.of("gw") == then
    world.tell(route("r", path="/third", generation=3), _of_other("t", 2))
    assert world.of("gw") == then
    observed = world.engine.state()[f"resource/{OLD.ref}"]["object"]
    assert observed["metadata"]["generation"] == 3
    assert "RolledBack" in world.says(OLD.ref)
    assert "offset 1" in world.says(OLD.ref)
    assert "anna: it broke" in world.says(OLD.ref)
    never = World(OLD, _of_other("s", 1))
    never.tell(route("r", path="/third", generation=3), _of_other("t", 2))
    assert world.of("other") == never.of("other")
    world.control(Unpin("p"))
    assert world.of("gw") == never.of("gw")
    assert "RolledBack" not in world.says(OLD.ref)


def test_a_rollback_takes_away_what_was_not_there_and_brings_back_what_is_gone() -> None:
    world = World(OLD)
    then = world.of("gw")
    world.tell(delete(OLD), route("made", path="/made"))
    world.control(_pin(of=None), _was(OLD), Override("p", route("made").ref, None))
    assert world.of("gw") == then


def test_of_two_rollbacks_the_later_counts_until_it_is_lifted() -> None:
    world = World(OLD)
    first = world.of("gw")
    world.tell(NEW)
    second = world.of("gw")
    world.tell(route("r", path="/c", generation=3))
    world.control(_pin("p", None), _was(OLD))
    world.control(_pin("q", None), _was(NEW, "q"))
    assert world.of("gw") == second
    world.control(Unpin("q"))
    assert world.of("gw") == first


def test_a_pinned_gateway_sees_no_rollback_that_comes_or_goes() -> None:
    world = World(OLD)
    world.tell(NEW)
    then = world.of("gw")
    world.control(_pin("p"))
    world.control(_pin("q", None), _was(OLD, "q"))
    assert world.of("gw") == then
    world.control(Unpin("q"))
    assert world.of("gw") == then
    world.control(_pin("q", None), _was(OLD, "q"))
    rolled = World(OLD).of("gw")
    world.control(Unpin("p"))
    assert world.of("gw") == rolled


@pytest.mark.parametrize("of", ["gw", None])
def test_it_ends_by_a_tick_alone_unless_confirmed(of: str | None) -> None:
    world = World(OLD)
    then = world.of("gw")
    world.tell(NEW)
    now = world.of("gw")
    update = world.control(_pin("p", of, LATER, on_trial=True), _was(OLD))
    assert update.wake_at == LATER
    world.tell(service("s", generation=9), time=AFTER)
    assert world.of("gw") == then, "a source's clock may be wrong"
    world.tell(Tick(), source="resolver", time=LATER)
    assert world.of("gw") == now
    assert world.engine.state().keys() == {one for one in world.engine.state() if not one.startswith("override/")}


def test_what_is_confirmed_stays() -> None:
    world = World(OLD)
    then = world.of("gw")
    world.tell(NEW)
    world.control(_pin("p", "gw", LATER, on_trial=True), _was(OLD))
    update = world.control(Confirm("p"))
    assert update.wake_at is None
    assert "unless confirmed" not in world.says(_gateway())
    world.tell(Tick(), source="resolver", time=AFTER)
    assert world.of("gw") == then


def test_what_ends_by_time_is_not_confirmed() -> None:
    world = World(OLD)
    world.control(_pin("p", "gw", LATER))
    assert world.control(Confirm("p")).wake_at == LATER


@pytest.mark.parametrize("change", [_pin(), _pin(of=None), Unpin("p"), Confirm("p")])
def test_a_source_that_is_not_control_cannot(change: Change) -> None:
    world = World(OLD)
    before = world.of("gw")
    world.control(_pin("p", "gw", LATER, on_trial=True))
    row = world.engine.state()["pin/p"]
    world.tell(change)
    assert "cannot pin anything" in world.warnings[0]
    assert world.engine.state()["pin/p"] == row
    assert world.of("gw") == before


@pytest.mark.parametrize("of", [endpoints("s", "127.0.0.3"), service("s", generation=7)])
def test_only_configuration_is_overridden(of: Put) -> None:
    world = World(OLD)
    before = world.of("gw")
    world.control(_pin(of=None), _was(of))
    assert "counts as it is today" in world.warnings[0]
    assert world.of("gw") == before


def test_a_quarantine_counts_within_a_pin_and_what_others_see_ends_none() -> None:
    world = World(OLD)
    world.tell(NEW)
    world.control(_pin(), Override("p", NEW.ref, NEW.object, OLD.object))
    found = world.engine.everything().fragments.set.values()
    guilty = next(one for one in found if one.key.kind.value == "route")
    said = Quarantine(guilty.key.gateway, str(guilty.key), guilty.version, ((NEW.ref, 2),), "no", "1.40")
    world.tell(said, source="publisher")
    held = world.of("gw")
    assert held[str(guilty.key)] != guilty.version
    world.tell(route("r", path="/later", generation=3))
    assert world.of("gw") == held
    world.control(Unpin("p"))
    assert not any(key.startswith("quarantine/") for key in world.engine.state())


def test_the_status_of_a_pinned_gateway_is_of_what_it_serves() -> None:
    world = World(OLD, route("more", path="/more"))
    world.tell(delete(route("more")))
    world.control(_pin(until=LATER, on_trial=True), _was(route("more", path="/more")))
    said = world.engine.everything().statuses.set[str(_gateway())]["status"]
    assert said["listeners"][0]["attachedRoutes"] == 2
    pinned = next(one for one in said["conditions"] if one["type"] == "penstock.dev/Pinned")
    assert pinned["message"] == (
        "served as of offset 1 since 2026-11-24T10:00:00.000Z until 2026-11-24T10:30:00.000Z unless confirmed, "
        "by anna: it broke. To end it: penstock unpin p"
    )


def test_what_a_source_has_against_a_pinned_gateway_today_is_not_told_of_then() -> None:
    """It was told or not by when the pin came, and otherwise after a boot."""
    world = World(OLD)
    world.tell(Refused("gw.yaml:1", _gateway(), "no YAML"))
    world.control(_pin())
    assert "no YAML" not in world.says(_gateway())
    world.tell(Admitted("gw.yaml:1"))
    world.tell(Refused("gw.yaml:2", _gateway(), "no YAML either"))
    assert "no YAML" not in world.says(_gateway())
    world.control(Unpin("p"))
    assert "no YAML either" in world.says(_gateway())


def test_a_pin_of_a_gateway_that_never_was_serves_nothing() -> None:
    world = World(OLD)
    before = world.of("gw")
    world.control(_pin(of="nobody"))
    assert world.of("gw") == before
    assert not world.of("nobody")


def test_a_new_pin_costs_nothing_to_those_who_are_not_pinned() -> None:
    """While nothing is pinned a change reruns what it always did; a pinned reading reruns its own only."""
    world = World(*(route(f"r{one}", path=f"/{one}") for one in range(20)))
    work = world.engine.graph.work
    world.control(_pin())
    before = work.reruns
    world.engine.apply(change_set(put("", "v1", "ConfigMap", "c", {"data": {}}), number=99), 99)
    assert work.reruns == before
