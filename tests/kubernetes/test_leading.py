"""Replicas of a role before a real API server: one works, and another takes over when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streams.kubernetes import leading, lease
from streams.kubernetes.cluster import Json, Page, Target
from streams.kubernetes.leading import Candidate, lead
from streams.telemetry import Telemetry
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.stage import RealStage, real_stage

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def stage(api_server: ApiServerProcess) -> AsyncIterator[RealStage]:
    async with real_stage(api_server) as found:
        yield found


@asynccontextmanager
async def replica(
    stage: RealStage, name: str, active: list[str], telemetry: Telemetry | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """`active` holds who works now."""

    async def work() -> None:
        active.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            active.remove(name)

    candidate = Candidate(stage.namespace, "role", name)
    task = asyncio.create_task(lead(stage.cluster, candidate, work, telemetry))  # type: ignore[arg-type]
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def becomes(active: list[str], *names: str) -> None:
    async with asyncio.timeout(60):
        while active != list(names):
            assert len(active) <= 1
            await asyncio.sleep(0.05)


@pytest.mark.kubernetes
async def test_the_next_one_works_at_once_when_the_first_ends_in_good_order(stage: RealStage) -> None:
    active: list[str] = []
    async with replica(stage, "a", active) as first:
        await becomes(active, "a")
        async with replica(stage, "b", active):
            await asyncio.sleep(2 * lease.RETRY)
            assert active == ["a"]
            first.cancel()
            async with asyncio.timeout(3 * lease.RETRY):
                await becomes(active, "b")


@pytest.mark.kubernetes
async def test_one_that_cannot_renew_stops_before_the_next_one_works(stage: RealStage) -> None:
    active: list[str] = []
    async with real_stage(stage._server) as other:  # noqa: SLF001
        other.namespace = stage.namespace
        async with replica(stage, "a", active):
            await becomes(active, "a")
            async with replica(other, "b", active):
                await stage.cut()
                await becomes(active)
                await becomes(active, "b")
                await stage.mend()
                await asyncio.sleep(2 * lease.RETRY)
                assert active == ["b"]


@pytest.mark.kubernetes
async def test_work_that_fails_ends_the_role(stage: RealStage) -> None:
    async def work() -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        async with asyncio.timeout(30):
            await lead(stage.cluster, Candidate(stage.namespace, "role", "a"), work)  # type: ignore[arg-type]


@pytest.mark.kubernetes
async def test_who_stands_by_is_ready_and_says_that_another_is_active(stage: RealStage) -> None:
    active: list[str] = []
    first, second = Telemetry(), Telemetry()
    async with replica(stage, "a", active, first) as one:
        assert not first.health.readiness()["ready"]
        await becomes(active, "a")
        async with replica(stage, "b", active, second):
            async with asyncio.timeout(30):
                while not second.health.readiness()["ready"]:
                    await asyncio.sleep(0.05)
            assert [one.health.readiness()["active"] for one in (first, second)] == [True, False]
            one.cancel()
            await becomes(active, "b")
            assert second.health.readiness() == {"ready": True, "active": True, "waiting": {}}


class Hanging:
    """A cluster that takes a Lease, and from then on answers nothing."""

    def __init__(self) -> None:
        self.renewed = 0.0

    async def page(self, *_: Any) -> Page:
        if self.renewed:
            await asyncio.Event().wait()
        return Page((), "1")

    async def write(self, _: Target, object_: Json) -> Json:
        self.renewed = time.monotonic()
        return object_


async def test_who_hears_nothing_more_stops_within_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it waits for just then: the next one works when the Lease has ended."""
    monkeypatch.setattr(lease, "DEADLINE", 2.5)
    monkeypatch.setattr(leading, "RETRY", 0.5)
    cluster, ended = Hanging(), asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set_result(time.monotonic())

    task = asyncio.create_task(lead(cluster, Candidate("ns", "role", "a"), work))  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        assert await ended - cluster.renewed < 2.75
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
