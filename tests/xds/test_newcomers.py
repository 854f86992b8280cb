"""A proxy that has nothing is ready only with the log's end as it came; the last known good goes before that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from streams.memory import MemoryLog
from streams.past import last_offset
from streams.ports import Record
from streams.topics import Topic
from streams.xds import newcomers
from streams.xds.messages import CLUSTER, Node, Request, encode_request, parse_response
from tests.streams.toy import kafka_log
from tests.support.client import Ask, ask
from tests.support.manifests import route, service
from tests.xds.plane import GATEWAY, Plane, until
from tests.xds.test_judging import odd, resolved
from tests.xds.test_quarantine import populate


@dataclass
class Lagging:
    """A log of whose penstock.xds a follower hears no more until it `catches_up`.

    `looks` counts those at its end, which are answered while it `answers`.
    """

    log: Any
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    catches_up: asyncio.Event = field(default_factory=asyncio.Event)
    looks: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    async def ends(self, topic: Topic, partition: int) -> tuple[int, int]:
        if topic is Topic.CHANGES:
            self.looks += 1
            await self.answers.wait()
        first, end = await self.log.ends(topic, partition)
        return first, end

    async def follow(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        async with aclosing(self.log.follow(topic, partition, start)) as followed:
            async for batch in followed:
                if topic is Topic.XDS:
                    await self.catches_up.wait()
                yield batch


def lagging(folder: Path, log: Any) -> tuple[Plane, Lagging]:
    lags = Lagging(log)
    lags.answers.set()
    return Plane(folder, log=cast("MemoryLog", lags)), lags


@asynccontextmanager
async def behind(plane: Plane) -> AsyncIterator[int]:
    """A publisher that serves what was there before another Service and a route to it came; yields the Gateway's port."""
    told = await populate(plane)
    async with plane.resolving():
        await resolved(plane)
        async with plane.publishing(), odd(plane, name="first") as first:
            await first.ask(CLUSTER)
            await plane.tell(service("late"), route("late", "late", "/late"))
            await resolved(plane)
            yield int(told.object["spec"]["listeners"][0]["port"])


def is_late(response: bytes) -> bool:
    """Whether clusters that were sent are those of the log's end."""
    return any("late" in name for name in parse_response(response).resources)


async def first_answer(port: int, path: str) -> int:
    """What is answered by the first connection that a port takes."""
    async with asyncio.timeout(240):
        while True:
            with contextlib.suppress(OSError):
                return (await ask("127.0.0.1", port, Ask("h.example", path))).status
            await asyncio.sleep(0.01)


@pytest.mark.kafka
async def test_an_envoy_that_has_nothing_is_ready_with_the_logs_end(broker: str, tmp_path: Path) -> None:
    async with kafka_log(broker) as kafka, contextlib.AsyncExitStack() as stack:
        plane, log = lagging(tmp_path, kafka)
        port = await stack.enter_async_context(behind(plane))
        await stack.enter_async_context(plane.envoy())

        async def said(event: str) -> list[int]:
            return [one["offset"] for one in await plane.reports(event) if one["proxy"].endswith("~0")]

        await until(lambda: said("connected"))
        last = await last_offset(kafka, 0)
        # What comes after it has come is not waited for, but takes its time: who serves what it has has done so by then.
        await plane.tell(service("later"))
        await resolved(plane)
        log.catches_up.set()
        assert await first_answer(port, "/late") == 503, "no endpoints, but a route"
        await until(lambda: said("ack"))
        assert min(await said("ack")) >= last


async def test_one_that_comes_back_waits_for_nothing(tmp_path: Path) -> None:
    plane, _ = lagging(tmp_path, MemoryLog())
    async with behind(plane), odd(plane) as one:
        await one.call.write(encode_request(Request(CLUSTER, Node("back", GATEWAY, "1.40.0"), versions={"a": "old"})))
        assert not is_late(await one.read())


async def test_with_the_log_away_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "_PATIENCE_SECONDS", 1000.0)
    log = MemoryLog()
    plane, _ = lagging(tmp_path, log)
    async with behind(plane), odd(plane) as one:
        log.down = True
        assert not is_late(await one.ask(CLUSTER))
        log.down = False


async def test_who_waits_in_vain_is_served_and_nobody_after_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that is gone for long must not keep every new proxy from the last known good."""
    monkeypatch.setattr(newcomers, "_PATIENCE_SECONDS", 0.2)
    plane, _ = lagging(tmp_path, MemoryLog())
    async with behind(plane), odd(plane) as one, odd(plane, name="next") as following:
        with capture_logs() as logs:
            assert not is_late(await one.ask(CLUSTER))
        assert [told["proxies"] for told in logs if told["event"].startswith("new proxies are served")] == [1]
        monkeypatch.setattr(newcomers, "_PATIENCE_SECONDS", 1000.0)
        assert not is_late(await following.ask(CLUSTER))


async def test_proxies_that_come_together_ask_the_log_together(tmp_path: Path) -> None:
    plane, log = lagging(tmp_path, MemoryLog())
    async with behind(plane), contextlib.AsyncExitStack() as stack:
        some = [await stack.enter_async_context(odd(plane, name=str(number))) for number in range(20)]
        log.answers.clear()
        looks = log.looks
        answers = asyncio.gather(*(one.ask(CLUSTER) for one in some))

        async def connected() -> bool:
            return len(await plane.reports("connected")) >= 21

        await until(connected)
        log.answers.set()
        log.catches_up.set()
        assert all(map(is_late, await answers))
        assert log.looks - looks == 2, "one for the first, and one for all who came meanwhile"
