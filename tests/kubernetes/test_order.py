"""The reorder buffer, driven by a clock of the test's: what waits for what, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import Delete, Put
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.kubernetes.cluster import Target
from streams.sources.kubernetes.neighbours import Neighbours
from streams.sources.kubernetes.observed import Observed, observe
from streams.sources.kubernetes.order import CHURN_SECONDS, WAIT_SECONDS, Order
from tests.kubernetes.objects import endpoints, route, service

_SEALER = Sealer(bytes(KEY_BYTES))


class World:
    """What was told, and a buffer before it."""

    def __init__(self, *told: dict[str, Any]) -> None:
        self.told = {ref: seen.object for ref, seen in map(seen_of, told)}
        self.neighbours = Neighbours(self.told)
        self.order = Order(self.told, self.neighbours)

    def put(self, object_: dict[str, Any], now: float) -> None:
        self.order.put(*seen_of(object_), now)

    def gone(self, object_: dict[str, Any], now: float) -> None:
        self.order.put(seen_of(object_)[0], Observed(), now)

    def take(self, now: float) -> list[str]:
        taken = self.order.take(now)
        for ref, seen in taken.items():
            self.told.pop(ref, None)
            if seen.object is not None:
                self.told[ref] = seen.object
            self.neighbours.take([Delete(ref) if seen.object is None else Put(ref, seen.object)])
        return [ref.name for ref in taken]


def seen_of(object_: dict[str, Any]) -> tuple[Ref, Observed]:
    group, _, version = object_["apiVersion"].rpartition("/")
    return observe(Target(group, object_["kind"], "", version), "c", object_, _SEALER)


SERVICE, SLICE, ROUTE = service("ns", "svc"), endpoints("ns", "svc", "10.0.0.1"), route("ns", "route", "svc")


def test_what_waits_for_nothing_is_told_at_once() -> None:
    world = World(SERVICE, SLICE)
    world.put(ROUTE, 5.0)
    assert world.order.next() == 5.0
    assert world.take(5.0) == ["route"]
    assert world.order.next() == float("inf")


def test_a_route_waits_for_its_service_and_its_endpoints() -> None:
    world = World()
    world.put(ROUTE, 1.0)
    assert world.take(1.0) == []
    world.put(SERVICE, 1.01)
    assert world.take(1.01) == ["svc"]
    world.put(SLICE, 1.02)
    assert world.take(1.02) == ["svc-1", "route"]


def test_endpoints_that_were_told_and_went_again_are_waited_for() -> None:
    world = World(SERVICE)
    world.put(SLICE, 1.0)
    assert world.take(1.0) == ["svc-1"]
    world.gone(SLICE, 2.0)
    assert world.take(2.0) == ["svc-1"]
    world.put(ROUTE, 3.0)
    assert world.take(3.0) == []


def test_a_route_waits_no_longer_than_50_ms_whatever_comes_meanwhile() -> None:
    world = World()
    world.put(ROUTE, 1.0)
    world.put(route("ns", "route", "svc", path="/new"), 1.04)
    assert world.order.next() == pytest.approx(1.0 + WAIT_SECONDS)
    assert world.take(1.049) == []
    assert world.take(1.0 + WAIT_SECONDS) == ["route"]
    assert "/new" in world.told[seen_of(ROUTE)[0]].text.decode()


def test_of_what_comes_together_backends_come_first() -> None:
    world = World()
    for one in (ROUTE, SLICE, SERVICE):
        world.put(one, 1.0)
    assert world.take(1.0) == ["svc", "svc-1", "route"]


def test_a_service_of_another_host_needs_no_endpoints() -> None:
    world = World()
    world.put({**SERVICE, "spec": {"type": "ExternalName", "externalName": "example.com"}}, 1.0)
    world.put(ROUTE, 1.0)
    assert world.take(1.0) == ["svc", "route"]


def test_what_a_route_still_names_is_taken_away_after_the_route() -> None:
    world = World(SERVICE, SLICE, ROUTE, service("ns", "other"), endpoints("ns", "other", "10.0.0.2"))
    world.gone(SERVICE, 1.0)
    world.gone(SLICE, 1.0)
    assert world.take(1.0) == []
    world.put(route("ns", "route", "other"), 1.01)
    assert world.take(1.01) == ["route"]
    assert sorted(world.take(1.01)) == ["svc", "svc-1"]


def test_what_a_route_goes_on_to_name_is_gone_after_50_ms() -> None:
    world = World(SERVICE, SLICE, ROUTE)
    world.gone(SERVICE, 1.0)
    assert world.take(1.0) == []
    assert world.take(1.0 + WAIT_SECONDS) == ["svc"]


def test_a_service_that_comes_back_in_time_was_never_gone() -> None:
    world = World(SERVICE, SLICE, ROUTE)
    world.gone(SERVICE, 1.0)
    world.put(SERVICE, 1.02)
    assert world.take(1.02) == ["svc"]
    assert world.take(2.0) == []


def test_the_service_of_a_route_that_waits_itself_is_not_taken_away_before_it() -> None:
    world = World(SERVICE, SLICE, ROUTE)
    world.put(route("ns", "route", "new"), 1.0)
    world.gone(SERVICE, 1.0)
    assert world.take(1.0) == []
    world.put(service("ns", "new"), 1.01)
    world.put(endpoints("ns", "new", "10.0.0.3"), 1.01)
    assert world.take(1.01) == ["new", "new-1", "route", "svc"]


def test_endpoints_are_told_at_most_every_100_ms_the_latest_state() -> None:
    world = World()
    for number in range(1, 5):
        world.put(endpoints("ns", "svc", f"10.0.0.{number}"), 1.0 + number / 100)
        assert world.take(1.0 + number / 100) == (["svc-1"] if number == 1 else [])
    assert world.order.next() == pytest.approx(1.01 + CHURN_SECONDS)
    assert world.take(1.01 + CHURN_SECONDS) == ["svc-1"]
    assert "10.0.0.4" in world.told[seen_of(SLICE)[0]].text.decode()
    world.put(endpoints("ns", "svc", "10.0.0.9"), 9.0)
    assert world.take(9.0) == ["svc-1"]
