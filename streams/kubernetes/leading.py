"""Runs a role's work while its replica is the active one: the shell around an election."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog

from streams.kubernetes.cluster import Cluster, ClusterError, Conflict, Json, Target, Writable
from streams.kubernetes.lease import RETRY, Election
from streams.reminder import Reminder
from streams.telemetry import Telemetry
from streams.telemetry.metrics import TAKEOVERS

_LOG = structlog.get_logger()
LEASE: Final = Target("coordination.k8s.io", "Lease", "leases", "v1")
"""What is read and written here: of the kind, the one that a role has."""
_RELEASE_SECONDS: Final = 2.0


class LeaseCluster(Cluster, Writable, Protocol):
    """Where the Lease is."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A replica of the role that the Lease `name` stands for; `identity` is its own, such as a pod's name."""

    namespace: str
    name: str
    identity: str

    @property
    def target(self) -> Target:
        """The Lease."""
        return LEASE._replace(namespace=self.namespace, name=self.name)


@dataclass(slots=True)
class _Standing:
    """What this replica is; one that stands by waits for nothing, as long as it can tell that another is active."""

    telemetry: Telemetry
    is_active: bool = False
    trouble: str = "has not read the Lease yet"

    def waits(self) -> str:
        return "" if self.is_active else self.trouble


async def lead(
    cluster: LeaseCluster, candidate: Candidate, work: Callable[[], Awaitable[None]], telemetry: Telemetry | None = None
) -> None:
    """Run `work` whenever this replica is active, for ever; cancelled, it lets go of the Lease. Raises as `work`."""
    standing = _Standing(telemetry or Telemetry())
    standing.telemetry.health.activity = lambda: standing.is_active
    with standing.telemetry.health.part("lease", standing.waits):
        await _lead(cluster, candidate, work, standing)


async def _lead(
    cluster: LeaseCluster, candidate: Candidate, work: Callable[[], Awaitable[None]], standing: _Standing
) -> None:
    election, reminder, task = Election(candidate.identity), Reminder(), None
    try:
        while True:
            # Whose time is over ends first: a look may take longer than what is left of the Lease.
            if task is None or election.is_active(time.monotonic()):
                try:
                    await _look(cluster, candidate, election)
                    standing.trouble = ""
                except (ClusterError, TimeoutError) as error:
                    standing.trouble = words = str(error) or "the API server takes too long"
                    if reminder.is_due(words):
                        _LOG.warning("the Lease cannot be read or renewed now", lease=candidate.name, reason=words)
            standing.is_active = is_active = election.is_active(time.monotonic())
            if is_active and task is None:
                _LOG.info("this replica is active now", lease=candidate.name, identity=candidate.identity)
                standing.telemetry.meters.count(TAKEOVERS)
                task = asyncio.ensure_future(work())
            elif not is_active and task is not None:
                _LOG.warning("another replica is to be active: this one stops", lease=candidate.name)
                await _end(task)
                task = None
            await _pause(task, election)
    finally:
        if task is not None:
            await _end(task)
        await _release(cluster, candidate, election)


async def _look(cluster: LeaseCluster, candidate: Candidate, election: Election) -> None:
    """Read the Lease, and claim it if that may be. Raises ClusterError, or TimeoutError."""
    async with asyncio.timeout(_within(election, RETRY * 2)):
        page = await cluster.page(candidate.target, "", 0)
        asked = time.monotonic()
        election.read(page.objects[0] if page.objects else None, asked)
        claim = election.claim(_now(), asked)
        if claim is None:
            return
        # Somebody else was faster: the next look tells who.
        with suppress(Conflict):
            election.wrote(await cluster.write(candidate.target, _lease(candidate, claim)), asked)


async def _release(cluster: LeaseCluster, candidate: Candidate, election: Election) -> None:
    # Who cannot let go of it is gone in some seconds all the same.
    with suppress(ClusterError, TimeoutError):
        async with asyncio.timeout(_RELEASE_SECONDS):
            # Cancelled in the middle of a renewal, we do not know whether that arrived.
            page = await cluster.page(candidate.target, "", 0)
            election.read(page.objects[0] if page.objects else None, time.monotonic())
            released = election.release(_now())
            if released is not None:
                await cluster.write(candidate.target, _lease(candidate, released))


def _within(election: Election, seconds: float) -> float:
    """So many seconds, or fewer: nothing that we wait for may outlast the time in which we are active."""
    return min(seconds, election.remaining(time.monotonic()) or seconds)


async def _pause(task: asyncio.Future[None] | None, election: Election) -> None:
    """Until the next look, or until the work ended by itself. Raises what ended it."""
    if task is None:
        await asyncio.sleep(RETRY)
        return
    done, _ = await asyncio.wait({task}, timeout=_within(election, RETRY))
    if done:
        task.result()


async def _end(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def _lease(candidate: Candidate, claim: dict[str, Any]) -> Json:
    return {**claim, "metadata": {**claim["metadata"], "namespace": candidate.namespace}}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
