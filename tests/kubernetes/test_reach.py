"""A cluster whose API server is away is said to be unreachable once, keeps what it said, and catches up when it is back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from engine.events import Change, Reachable, SyncBegin, SyncEnd, Unreachable
from streams.clock import now, seconds_of
from streams.kubernetes.cluster import Away, Page, Target
from streams.memory import MemoryLog
from tests.kubernetes.objects import config_map, route, service
from tests.kubernetes.stage import Stage
from tests.kubernetes.test_watch import OPTIONS, has, objects, resolved, sets, until, watching

_SILENT = replace(OPTIONS, silent_seconds=1.0)
_OFTEN = 5


class Asked:
    """A cluster of which it is counted how often it did not answer."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.unanswered = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)

    async def page(self, target: Target, token: str, limit: int) -> Page:
        try:
            found: Page = await self.cluster.page(target, token, limit)
        except Away:
            self.unanswered += 1
            raise
        return found

    async def often(self, stage: Stage) -> None:
        """It was asked in vain many times more."""
        enough = self.unanswered + _OFTEN

        async def is_enough() -> bool:
            return self.unanswered >= enough

        await until(stage, is_enough)


@pytest.fixture
def asked(stage: Stage) -> Asked:
    """The stage's cluster, counted."""
    stage.cluster = found = Asked(stage.cluster)
    return found


async def said(log: MemoryLog) -> list[Change]:
    """All that was said of whether the cluster can be reached."""
    found = [change for one in await sets(log) for change in one.changes]
    return [change for change in found if isinstance(change, Unreachable | Reachable)]


async def _is(log: MemoryLog, *kinds: type[Change]) -> bool:
    return [type(change) for change in await said(log)] == list(kinds)


async def test_it_is_said_once_and_the_difference_is_appended_before_it_is_taken_back(stage: Stage, asked: Asked) -> None:
    log, names = MemoryLog(), {"ConfigMap/stays"}
    await stage.put(config_map(stage.namespace, "stays", "1"))
    await stage.put(config_map(stage.namespace, "goes", "1"))
    async with watching(log, stage, _SILENT):
        await has(log, stage, "ConfigMap/stays", "ConfigMap/goes")
        for number in range(1, 3):
            there = len(await sets(log))
            await stage.cut()
            await until(stage, partial(_is, log, *[Unreachable, Reachable] * (number - 1), Unreachable))
            await asked.often(stage)
            (only,) = (await sets(log))[there:]
            assert [type(change) for change in only.changes] == [Unreachable], "said once, and nothing is taken away"
            await stage.put(config_map(stage.namespace, f"comes-{number}", "1"))
            await stage.delete(config_map(stage.namespace, "goes", "1"))
            await stage.mend()
            await until(stage, partial(_is, log, *[Unreachable, Reachable] * number))
            names.add(f"ConfigMap/comes-{number}")
            assert sorted(await objects(log, stage)) == sorted(names)
    assert [type(change) for change in (await sets(log))[-1].changes] == [Reachable], "the difference is before it"


async def test_since_is_when_it_was_seen_last(stage: Stage) -> None:
    log = MemoryLog()
    async with watching(log, stage, _SILENT):
        await has(log, stage)
        await until(stage, lambda: sets(log))
        await stage.cut()
        cut = now()
        await until(stage, lambda: said(log))
    (first,) = await said(log)
    assert isinstance(first, Unreachable)
    told = (await sets(log))[-1].time
    assert first.since <= cut
    assert seconds_of(told) - seconds_of(first.since) >= _SILENT.silent_seconds


async def test_a_watcher_that_starts_while_it_is_away_says_nothing_new(stage: Stage, asked: Asked) -> None:
    log = MemoryLog()
    await stage.put(service(stage.namespace, "a"))
    await stage.put(route(stage.namespace, "r", "a"))
    async with watching(log, stage, _SILENT):
        await has(log, stage, "Service/a", "HTTPRoute/r")
        await stage.cut()
        await until(stage, lambda: said(log))
    for is_resolved in (False, True):
        if is_resolved:
            await resolved(log)
        there = await sets(log)
        async with watching(log, stage, _SILENT):
            await asked.often(stage)
        assert await sets(log) == there, "neither by the log nor by the state is anything new"
    await stage.delete(route(stage.namespace, "r", "a"))
    async with watching(log, stage, _SILENT):
        await stage.mend()
        await until(stage, lambda: _is(log, Unreachable, Reachable))
        assert sorted(await objects(log, stage)) == ["Service/a"]


async def test_of_a_cluster_that_was_never_seen_no_listing_is_claimed(stage: Stage) -> None:
    log = MemoryLog()
    await stage.put(service(stage.namespace, "a"))
    await stage.cut()
    async with watching(log, stage, _SILENT):
        await until(stage, lambda: said(log))
        assert [change for one in await sets(log) for change in one.changes] == await said(log)
        await stage.mend()
        await has(log, stage, "Service/a")
        await until(stage, lambda: _is(log, Unreachable, Reachable))
    kinds = [type(change) for one in await sets(log) for change in one.changes]
    assert [kinds.count(one) for one in (SyncBegin, SyncEnd)] == [1, 1]
    assert kinds[0] is Unreachable
    assert kinds[-1] is Reachable


async def test_one_that_restarts_quickly_is_not_unreachable(stage: Stage) -> None:
    log = MemoryLog()
    async with watching(log, stage, replace(OPTIONS, silent_seconds=120.0)):
        await stage.restart()
        await stage.put(service(stage.namespace, "a"))
        await has(log, stage, "Service/a")
    assert await said(log) == []
