"""Replicas of a role before a real API server: one works, and another takes over when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streams.kubernetes import leading, lease
from streams.kubernetes.cluster import ClusterError, Json, Page, Target
from streams.kubernetes.leading import Candidate, lead
from streams.telemetry import Telemetry
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.stage import RealStage, real_stage
from tests.support.skipping import Skipping

_SECONDS = 240.0
"""For what hangs only."""


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


@asynccontextmanager
async def standing_by(
    stage: RealStage, name: str, active: list[str], telemetry: Telemetry | None = None
) -> AsyncIterator[None]:
    """Another replica, which has read the Lease."""
    told = telemetry or Telemetry()
    async with replica(stage, name, active, told):
        await until(lambda: told.health.readiness()["ready"])
        yield


async def becomes(active: list[str], *names: str) -> None:
    def question() -> bool:
        assert len(active) <= 1
        return active == list(names)

    await until(question)


async def until(question: Callable[[], object]) -> None:
    async with asyncio.timeout(_SECONDS):
        while not question():
            await asyncio.sleep(0.05)


@pytest.mark.kubernetes
async def test_the_next_one_works_at_once_when_the_first_ends_in_good_order(stage: RealStage) -> None:
    active: list[str] = []
    async with replica(stage, "a", active) as first:
        await becomes(active, "a")
        async with standing_by(stage, "b", active):
            assert active == ["a"]
            first.cancel()
            await asyncio.wait({first})
            # Let go of: else it would be the first one's until the Lease had ended.
            page = await stage.cluster.page(Candidate(stage.namespace, "role", "a").target, "", 0)
            assert page.objects[0]["spec"]["holderIdentity"] in {"", "b"}
            await becomes(active, "b")


@pytest.mark.kubernetes
async def test_one_that_cannot_renew_stops_before_the_next_one_works(stage: RealStage) -> None:
    active: list[str] = []
    async with real_stage(stage._server) as other:  # noqa: SLF001
        other.namespace = stage.namespace
        first = Telemetry()
        async with replica(stage, "a", active, first):
            await becomes(active, "a")
            async with replica(other, "b", active):
                await stage.cut()
                await becomes(active)
                await becomes(active, "b")
                await until(lambda: not first.health.readiness()["ready"])
                await stage.mend()
                await until(lambda: first.health.readiness()["ready"])
                assert active == ["b"]


@pytest.mark.kubernetes
async def test_work_that_fails_ends_the_role(stage: RealStage) -> None:
    async def work() -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        async with asyncio.timeout(_SECONDS):
            await lead(stage.cluster, Candidate(stage.namespace, "role", "a"), work)  # type: ignore[arg-type]


@pytest.mark.kubernetes
async def test_who_stands_by_is_ready_and_says_that_another_is_active(stage: RealStage) -> None:
    active: list[str] = []
    first, second = Telemetry(), Telemetry()
    async with replica(stage, "a", active, first) as one:
        assert not first.health.readiness()["ready"]
        await becomes(active, "a")
        async with standing_by(stage, "b", active, second):
            assert [one.health.readiness()["active"] for one in (first, second)] == [True, False]
            one.cancel()
            await becomes(active, "b")
            assert second.health.readiness() == {"ready": True, "active": True, "waiting": {}}


class Hanging:
    """A cluster that takes a Lease, from then on answers nobody, and from its time `hangs` on not even that."""

    def __init__(self, hangs: float) -> None:
        self.renewed = -1.0
        self._hangs = hangs

    async def page(self, *_: Any) -> Page:
        now = asyncio.get_running_loop().time()
        if self.renewed >= 0 and self._hangs <= now:
            await asyncio.Event().wait()
        if self.renewed >= 0:
            raise ClusterError("connection refused")
        return Page((), "1")

    async def write(self, _: Target, object_: Json) -> Json:
        self.renewed = asyncio.get_running_loop().time()
        return object_


@pytest.mark.parametrize("hangs", [0.0, 1.0, 3.0, 5.0, 7.0, 9.0, 9.99, 11.0])
def test_who_hears_nothing_more_stops_within_its_deadline(hangs: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it waits for just then: the next one works when the Lease has ended."""
    cluster = Hanging(hangs)

    async def play() -> float:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set_result(loop.time())

        task = asyncio.create_task(lead(cluster, Candidate("ns", "role", "a"), work))  # type: ignore[arg-type]
        found: float = await ended
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return found

    with asyncio.Runner(loop_factory=Skipping) as runner:
        monkeypatch.setattr(leading, "time", runner.get_loop())
        assert lease.DEADLINE - 0.01 <= runner.run(play()) - cluster.renewed <= lease.DEADLINE + 0.01
