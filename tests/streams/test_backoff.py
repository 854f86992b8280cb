"""While the log is not there nobody tries often, and when it is back everybody notices soon; the clock is skipped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from engine.seal import KEY_BYTES, Sealer
from streams.backoff import Backoff
from streams.cli.view import Screen
from streams.domain import Domain, DomainOptions
from streams.host import Host
from streams.memory import MemoryLog
from streams.ports import TopicMissing
from streams.projections.convergence import ProjectOptions, _Joins, _write
from streams.sinks.infra import follow_proxies
from streams.sources.files import FilesOptions, watch_files
from streams.telemetry import Health
from streams.xds.bench import Bench
from streams.xds.journey import Journeys
from streams.xds.messages import Node
from streams.xds.publisher import PublishOptions, _Follower
from streams.xds.quarantine import Judge
from streams.xds.reports import Reports
from streams.xds.stream import Publication, Report
from tests.streams.toy import GATEWAY, TIME, ToyEngine
from tests.support.skipping import Skipping

_AWAY = 120.0
_MOST = 35
"""Tries of one role in that time: some at first, then one in four seconds."""
_SOON = 5.0
_SEALER = Sealer(bytes(KEY_BYTES))
_ROW = b'{"offset":1,"connected":true,"at":1,"error":""}'
_NODE = Node("p", str(GATEWAY), "1.40.0")


class Topicless(MemoryLog):
    """A log whose topics are missing while it is down; counts who tries meanwhile, and who finds it afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.tries, self.found = True, 0, 0

    def _check(self) -> None:
        if self.down:
            self.tries += 1
            msg = "penstock.some/0 does not exist on the broker"
            raise TopicMissing(msg)
        self.found += 1


Role = Callable[[MemoryLog, Path], Coroutine[Any, Any, None]]


async def _publish(log: MemoryLog, folder: Path) -> None:
    options = PublishOptions("unix:/nowhere", folder / "snapshot", lambda *_: True, lambda: TIME)
    publication = Publication(_SEALER, lambda _: None)
    await _Follower(log, _SEALER, publication, options, Journeys(options.telemetry)).run()


async def _report(log: MemoryLog, _: Path) -> None:
    reports = Reports(lambda: TIME, "default", 0, "here/1")
    reports.heard(Report("ack", _NODE, 1))
    await reports.write(log)


async def _review(log: MemoryLog, _: Path) -> None:
    judge = Judge(Bench(log, None, lambda: TIME), Publication(_SEALER, lambda _: None))
    judge.moved(_NODE)
    await judge.run()


async def _review_of_many(log: MemoryLog, _: Path) -> None:
    """Proxies come and go meanwhile, and some may still be on their way."""
    judge = Judge(Bench(log, None, lambda: TIME, returning=30.0), Publication(_SEALER, lambda _: None))

    async def come() -> None:
        while True:
            judge.moved(_NODE)
            await asyncio.sleep(1.0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(come())
        tasks.create_task(judge.run())


async def _deploy(log: MemoryLog, _: Path) -> None:
    await follow_proxies(log, 0, lambda _: None, Health())


async def _project(log: MemoryLog, folder: Path) -> None:
    joins, name = _Joins(), f"default/{GATEWAY}/p"
    joins.seen(name)
    await _write(ProjectOptions(log, folder), {name: _ROW}, joins)  # type: ignore[arg-type]


async def _watch(log: MemoryLog, folder: Path) -> None:
    await watch_files(log, _SEALER, FilesOptions("local", folder, lambda: TIME))


async def _resolve(log: MemoryLog, _: Path) -> None:
    host = Host(lambda _: Domain(log, ToyEngine, DomainOptions(clock=lambda: TIME)), {0})
    await host.assigned({0})
    try:
        await asyncio.Event().wait()
    finally:
        await host.stop()


async def _show(log: MemoryLog, folder: Path) -> None:
    await Screen(folder / "logs", live=False)._lines(log, 0)


async def _away_and_back(role: Role, folder: Path) -> tuple[int, int]:
    """(tries while the topics are missing, those that find them soon after)."""
    log = Topicless()
    task = asyncio.create_task(role(log, folder))
    await asyncio.sleep(_AWAY)
    tries = log.tries
    await log.resume()
    await asyncio.sleep(_SOON)
    task.cancel()
    await asyncio.wait({task})
    return tries, log.found


@pytest.mark.parametrize(
    ("role", "loops"),
    [
        (_publish, 1), (_report, 1), (_review, 1), (_review_of_many, 1), (_deploy, 1), (_project, 1), (_watch, 1), (_resolve, 1), (_show, 2),
    ],
)  # fmt: skip
def test_missing_topics_are_asked_for_seldom_and_found_soon(role: Role, loops: int, tmp_path: Path) -> None:
    with asyncio.Runner(loop_factory=Skipping) as runner:
        tries, found = runner.run(_away_and_back(role, tmp_path))
    assert 5 * loops < tries <= _MOST * loops
    assert found >= loops


def test_what_went_well_is_tried_again_at_once() -> None:
    backoff = Backoff()
    assert [backoff.pause() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    backoff.reset()
    assert backoff.pause() == 0.5
