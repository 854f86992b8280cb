"""Whose rejection is judged next: nobody waits for more than one case of each other proxy."""

from __future__ import annotations

import asyncio

import pytest

from engine.seal import KEY_BYTES, Sealer
from streams.xds.assembly import Assembly
from streams.xds.docket import Case, Docket
from streams.xds.messages import CLUSTER, Node
from streams.xds.session import Rejection, Session
from streams.xds.stream import Publication, Stream

_PUBLICATION = Publication(Sealer(bytes(KEY_BYTES)), lambda _: None)


def case(proxy: str, name: str, version: str = "1", envoy: str = "1.40.0", gateway: str = "gw") -> Case:
    session = Session(Assembly(Sealer(bytes(KEY_BYTES))))
    return Case(Stream(Node(proxy, gateway, envoy), session, _PUBLICATION), Rejection(CLUSTER, {name: version}, "no"))


async def told(docket: Docket) -> list[Case | None]:
    """All that there is to do, in its order."""
    found = []
    while True:
        try:
            async with asyncio.timeout(0.02):
                found.append(await docket.next())
        except TimeoutError:
            return found


async def test_a_proxy_that_rejects_everything_lets_others_in_between() -> None:
    docket = Docket()
    odd = [case("odd", f"c{number}") for number in range(3)]
    for one in odd:
        docket.put(one)
    others = [case("a", "x"), case("b", "x")]
    for one in others:
        docket.put(one)
    assert await told(docket) == [odd[0], *others, *odd[1:]]


async def test_of_a_proxy_and_a_resource_the_latest_waits() -> None:
    """A proxy that rejects in a loop makes no queue."""
    docket = Docket()
    for version in range(100):
        docket.put(case("odd", "x", str(version)))
    docket.put(last := case("odd", "x", "last"))
    docket.put(other := case("odd", "y"))
    assert await told(docket) == [last, other]
    docket.put(last)
    assert await told(docket) == [last]


async def test_a_review_comes_first_and_once() -> None:
    docket = Docket()
    docket.put(one := case("a", "x"))
    docket.review()
    docket.review()
    assert await told(docket) == [None, one]
    docket.review()
    assert await told(docket) == [None]


async def test_proxies_that_come_and_go_without_end_keep_nobody_waiting() -> None:
    """Each makes a review due, also while the last one is under way."""
    docket, found = Docket(), []
    cases = [case("odd", "x"), case("a", "x")]
    for one in cases:
        docket.put(one)
    for _ in range(6):
        docket.review()
        found.append(await docket.next())
    assert found == [None, cases[0], None, cases[1], None, None]
    assert await told(docket) == []


@pytest.mark.parametrize(
    ("other", "is_settled"),
    [
        (case("b", "x", "2"), True),
        (case("a", "y"), False),
        (case("b", "x", envoy="1.41.0"), False),  # Its own Envoy has to be named.
        (case("b", "x", gateway="other"), False),
    ],
)
async def test_a_verdict_settles_what_others_said_before_it(other: Case, *, is_settled: bool) -> None:
    docket = Docket()
    docket.put(other)
    docket.settle(case("a", "x"))
    assert await told(docket) == ([] if is_settled else [other])
    docket.put(other)
    assert await told(docket) == [other]
