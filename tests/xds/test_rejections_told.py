"""What people are told of proxies that reject: each trouble at once, and a proxy in a loop floods nothing."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from engine.seal import KEY_BYTES, Sealer
from streams.memory import MemoryLog
from streams.xds.assembly import Assembly
from streams.xds.bench import Bench
from streams.xds.messages import CLUSTER, LISTENER, ROUTES, Node
from streams.xds.quarantine import Judge
from streams.xds.session import Rejection, Session
from streams.xds.stream import Publication, Stream

_SEALER = Sealer(bytes(KEY_BYTES))
_PUBLICATION = Publication(_SEALER, lambda _: None)
_WORDS = "cannot bind '0.0.0.0:8080': Address already in use"
_TAKEN = f"Error adding/updating listener(s) listener~8080: {_WORDS}\n"


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as found:
        yield found


def judge() -> Judge:
    return Judge(Bench(MemoryLog(), None, lambda: ""), _PUBLICATION)


def stream(proxy: str = "odd") -> Stream:
    """A new one each time: a proxy in a loop may connect anew."""
    return Stream(Node(proxy, "local/g/Gateway/default/gw", "1.40.0"), Session(Assembly(_SEALER)), _PUBLICATION)


def rejection(name: str = "x", version: str = "1", error: str = "no", kind: str = CLUSTER) -> Rejection:
    return Rejection(kind, {name: version}, error)


@pytest.mark.parametrize(
    "again",
    [rejection(), rejection(version="removal"), rejection("listener~8080", error=_TAKEN, kind=LISTENER)],
    ids=["config", "removal", "address"],
)
async def test_a_proxy_that_rejects_in_a_loop_is_told_of_once(again: Rejection, logs: list[Any]) -> None:
    one = judge()
    for _ in range(100):
        await one.heard(stream(), again)
    assert len(logs) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (ROUTES, f"missing ]: [{_WORDS}"),
        (ROUTES, _TAKEN),
        (CLUSTER, f"Error adding/updating cluster(s) x: {_WORDS}"),
        (LISTENER, f"Error adding/updating listener(s) x: missing ]: [x: {_WORDS}"),
        (LISTENER, f"Error adding/updating listener(s) x: missing ]: [\nx: {_WORDS}\n"),
        (LISTENER, f"Proto constraint validation failed: {_TAKEN}"),
    ],
)
async def test_what_people_wrote_is_no_word_of_an_address(kind: str, error: str, logs: list[Any]) -> None:
    """Envoy quotes what is wrong: who writes such words would be judged never, and tried for ever."""
    one = judge()
    await one.heard(stream(), rejection(error=error, kind=kind))
    assert [each["event"] for each in logs] == ["a proxy rejected config"]


async def test_each_proxy_resource_and_version_is_a_trouble_of_its_own(logs: list[Any]) -> None:
    one = judge()
    for _ in range(3):
        await one.heard(stream(), rejection())
        await one.heard(stream("other"), rejection())
        await one.heard(stream(), rejection("y"))
    await one.heard(stream(), rejection(version="2"))
    assert [(each["proxy"], *each["resources"]) for each in logs] == [
        ("odd", "x"),
        ("other", "x"),
        ("odd", "y"),
        ("odd", "x"),
    ]


async def test_an_acquittal_that_comes_again_is_told_once(logs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "refuses", lambda *_: True)
    one = judge()
    task = asyncio.create_task(one.run())
    for _ in range(20):
        await one.heard(stream(), rejection())
        await asyncio.sleep(0.001)
    task.cancel()
    assert [each["event"].split(",")[0] for each in logs] == [
        "a proxy rejected config",
        "no Envoy is there to confirm what a proxy rejected",
    ]


async def test_a_proxy_that_is_gone_is_not_remembered_for_what_could_not_be_judged() -> None:
    """One in a loop has a stream each time, of which only the latest case waits."""
    publication = Publication(_SEALER, lambda _: None)
    publication.apply({}, 0)
    one = Judge(Bench(MemoryLog(), None, lambda: ""), publication)
    streams = [await publication.open(stream().node) for _ in range(3)]
    for each in streams:
        each.session.refuses = lambda _: True  # type: ignore[method-assign]
        one._judge_later(each, rejection(), "no memory")
        await publication.close(each)
    gone = [weakref.ref(each) for each in streams[:-1]]
    del streams, each
    async with asyncio.timeout(60):
        while any(each() is not None for each in gone):
            gc.collect()
            await asyncio.sleep(0.02)
