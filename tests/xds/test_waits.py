"""How long a proxy that may not listen waits; and that nobody is remembered for good."""

from __future__ import annotations

from itertools import pairwise

from streams.xds.address import Waits

_PLACE = ("gw~0", "listener~8080")


def test_it_waits_longer_and_longer_up_to_a_limit() -> None:
    waits, now, found = Waits(), 100.0, []
    for _ in range(8):
        found.append(waits.next(_PLACE, now))
        now += found[-1]
    assert found[:3] == [0.5, 1.0, 2.0]
    assert all(one <= two for one, two in pairwise(found))
    assert found[-2:] == [15.0, 15.0]


def test_each_proxy_and_listener_waits_for_itself() -> None:
    waits = Waits()
    assert [waits.next(one, 0.0) for one in (_PLACE, _PLACE, ("gw~1", _PLACE[1]), (_PLACE[0], "listener~1"))] == [
        0.5, 1.0, 0.5, 0.5,
    ]  # fmt: skip


def test_who_listens_for_a_while_begins_anew() -> None:
    waits = Waits()
    assert [waits.next(_PLACE, one) for one in (0.0, 0.5, 30.4, 60.4)] == [0.5, 1.0, 2.0, 0.5]


def test_who_came_once_is_forgotten() -> None:
    """Proxies come and go under new names for as long as the publisher runs."""
    waits = Waits()
    for number in range(3_000):
        waits.next((f"gw~{number}", "listener~8080"), number / 10)
    assert len(waits) == 300


def test_a_flood_of_names_is_bounded() -> None:
    waits = Waits()
    for number in range(20_000):
        waits.next((f"gw~{number}", "listener~8080"), 1.0)
    assert len(waits) == 10_000
    assert waits.next(("gw~19999", "listener~8080"), 1.0) == 1.0
