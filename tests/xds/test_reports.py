"""What proxies say is written once for a while: the latest of each kind, in the order in which it was heard."""

from __future__ import annotations

import asyncio
import contextlib

import orjson
import pytest

from streams.clock import now
from streams.memory import MemoryLog
from streams.topics import Topic
from streams.xds.messages import Node
from streams.xds.reports import Reports
from streams.xds.stream import Report
from tests.support.skipping import Skipping
from tests.xds.test_session import GATEWAY


async def written(log: MemoryLog) -> list[tuple[str, int]]:
    rows = [orjson.loads(one.value or b"") async for batch in log.read(Topic.REPORTS, 0) for one in batch]
    return [(row["event"], row["offset"]) for row in rows]


def test_acknowledgements_of_a_while_are_one_record() -> None:
    with asyncio.Runner(loop_factory=Skipping) as runner:
        runner.run(_acknowledged())


async def _acknowledged() -> None:
    log, reports, node = MemoryLog(), Reports(now, "default", 0, "here/1"), Node("p", str(GATEWAY), "1.40.0")
    task = asyncio.create_task(reports.write(log))
    for report in (Report("connected", node, -1), *(Report("ack", node, offset) for offset in range(5))):
        reports.heard(report)
        for _ in range(10):  # the writer has its turns in between
            await asyncio.sleep(0)
    while not (found := await written(log)):
        await asyncio.sleep(0.005)
    assert found == [("connected", -1), ("ack", 4)]
    log.down = True
    reports.heard(Report("ack", node, 5))
    while not log.turned_away:
        await asyncio.sleep(0.005)
    await log.resume()
    while (found := await written(log))[-1] != ("ack", 5):
        await asyncio.sleep(0.005)
    assert found == [("connected", -1), ("ack", 4), ("ack", 5)]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_publisher_with_nothing_to_report_says_that_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.xds.reports.BEAT_SECONDS", 0.01)
    log, reports = MemoryLog(), Reports(now, "default", 0, "here/1")
    task = asyncio.create_task(reports.write(log))
    found: list[tuple[bytes | None, str, str]] = []
    async with asyncio.timeout(240):
        while len(found) < 2:
            values = [(one.key, orjson.loads(one.value or b"")) async for batch in log.read(Topic.REPORTS, 0) for one in batch]
            found = [(name, value["event"], value["publisher"]) for name, value in values]
            await asyncio.sleep(0.005)
    assert set(found) == {(b"default/publisher/here/1", "serving", "here/1")}
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_proxies_of_two_gateways_may_have_one_id() -> None:
    """What one says must not take the place of what the other said: an id is only what a proxy says of itself."""
    log, reports = MemoryLog(), Reports(now, "default", 0, "here/1")
    other = Node("p", str(GATEWAY._replace(name="other")), "1.40.0")
    reports.heard(Report("ack", Node("p", str(GATEWAY), "1.40.0"), 7))
    reports.heard(Report("ack", other, 3))
    task = asyncio.create_task(reports.write(log))
    async with asyncio.timeout(240):
        while not (found := await written(log)):
            await asyncio.sleep(0.005)
    assert found == [("ack", 7), ("ack", 3)]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
