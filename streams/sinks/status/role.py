"""The status writer's process step: follows a cluster, the wanted statuses and what proxies acknowledged, and writes.

It decides nothing: what is written, and when, is the writer's business.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from engine.fold import SYNC
from engine.ref import Ref, parse_ref
from streams.backoff import Backoff
from streams.codec import decode_convergence, decode_object
from streams.kubernetes.cluster import Cluster, ClusterError, Conflict, Invalid, Json, NotServed, Target, Writable
from streams.kubernetes.following import Following
from streams.ports import Log, LogError
from streams.reminder import Reminder
from streams.sinks.status.kinds import WRITTEN
from streams.sinks.status.writer import MANAGER, Current, StatusWriter, Write, current
from streams.telemetry import Telemetry
from streams.telemetry.metrics import RELISTS, STATUS_FAILURES, STATUS_WRITES
from streams.topics import Topic
from streams.view import Batch, follow_table, read_table

_LOG = structlog.get_logger()
_WORKERS: Final = 8
"""Writes at a time: an API server answers one in some milliseconds, most of it waiting for etcd."""
_SLASHES: Final = len(Ref._fields) - 1
_ASK_SECONDS: Final = 2.0


class StatusCluster(Cluster, Writable, Protocol):
    """What is read and written to."""


@dataclass(frozen=True, slots=True)
class StatusOptions:
    """`controllers` are our controller names; `now` answers RFC 3339, UTC, whole seconds, `clock` monotonic seconds."""

    cluster: str
    controllers: frozenset[str]
    now: Callable[[], str]
    partition: int = 0
    clock: Callable[[], float] = time.monotonic
    telemetry: Telemetry = field(default_factory=Telemetry)


async def write_statuses(log: Log, cluster: StatusCluster, options: StatusOptions) -> None:
    """Write for ever. What the log or the cluster refuses is tried again."""
    writer = StatusWriter(options.cluster, options.controllers, options.now)
    role = _Role(log, cluster, options, writer)
    following: Following[Current] = Following(options.cluster, cluster, role)
    health = options.telemetry.health
    with health.part("statuses", lambda: role.waits), health.part("cluster", role.unlisted):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(role.patiently(role.follow_statuses))
            tasks.create_task(role.patiently(role.follow_convergence))
            tasks.create_task(role.patiently(role.learn))
            for kind in WRITTEN:
                tasks.create_task(following.kind(kind))
            for _ in range(_WORKERS):
                tasks.create_task(role.work())


@dataclass(slots=True)
class _Role:
    log: Log
    cluster: StatusCluster
    options: StatusOptions
    writer: StatusWriter
    progress: int = -1
    """Up to which offset the wanted statuses are known."""
    waits: str = "reads penstock.status"
    """For what, until the log told which statuses are wanted."""
    missing: set[str] = field(default_factory=lambda: {kind.name for kind in WRITTEN})
    """Kinds that were not listed yet."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    targets: dict[tuple[str, str], Target] = field(default_factory=dict)
    """By group and kind, as the cluster serves it."""
    reminders: dict[str, Reminder] = field(default_factory=dict)

    # -- what stands in the cluster: see `Hearer` -------------------------------------------------------------------

    def has_any(self, _: Target) -> bool:
        """A status is lost with its object: nothing is."""
        return False

    def unlisted(self) -> str:
        """Which kinds are still to be listed, in words."""
        return f"lists {', '.join(sorted(self.missing))}" if self.missing else ""

    @property
    def unread(self) -> list[str]:
        """Nothing waits for a kind that is not read."""
        return []

    def read(self, target: Target, object_: Json) -> tuple[Ref, Current]:
        """See `Hearer`."""
        metadata = object_["metadata"]
        namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
        self.targets[target.group, target.kind] = target
        return Ref(self.options.cluster, target.group, target.kind, namespace, name), current(object_)

    def listed(self, target: Target, found: Mapping[Ref, Current]) -> None:
        """See `Hearer`."""
        self.writer.listed(target.group, target.kind, found, self._at())
        if target.kind not in self.missing:
            self.options.telemetry.meters.count(RELISTS, target.kind)
        self.missing.discard(target.kind)
        self.changed.set()

    def seen(self, ref: Ref, value: Current | None) -> None:
        """See `Hearer`."""
        self.writer.seen(ref, value, self._at())
        self.changed.set()

    # -- what is wanted ---------------------------------------------------------------------------------------------

    async def patiently(self, follow: Callable[[Backoff], Awaitable[None]]) -> None:
        """Read what the log says as long as it takes."""
        reminder, backoff = Reminder(), Backoff()
        while True:
            try:
                return await follow(backoff)
            except LogError as error:
                self.waits = str(error)
                if reminder.is_due(str(error)):
                    _LOG.warning("statuses stay as they are until the log answers", reason=str(error))
                await backoff.wait()

    async def follow_statuses(self, backoff: Backoff) -> None:
        """What is wanted. Raises LogError."""
        async for batch in follow_table(self.log, Topic.STATUS, self.options.partition):
            backoff.reset()
            self._take(batch)
            self.progress, self.waits = batch.progress, ""
            self.changed.set()

    async def follow_convergence(self, backoff: Backoff) -> None:
        """Which offset all proxies of each Gateway have acknowledged. Raises LogError."""
        async for records in self.log.follow(Topic.CONVERGENCE, self.options.partition):
            backoff.reset()
            for record in records:
                row = decode_convergence(record)
                if record.key is not None and row is not None:
                    self.writer.acknowledge(row["gateway"], row["acknowledged"], self._at(), row["undeployed"])
            self.changed.set()

    def _take(self, batch: Batch) -> None:
        """A snapshot is all that is wanted."""
        if batch.snapshot:
            for ref in [one for one in self.writer.wanted.refs() if str(one) not in batch.rows]:
                self.writer.want(ref, None, self._at())
        while batch.rows:
            name, record = batch.rows.popitem()
            status = decode_object(record, "status") if record is not None else None
            if name.count("/") != _SLASHES or (status is None and record is not None):
                _LOG.error("a record of penstock.status is left out: find out who writes there", key=name[:200])
            else:
                self.writer.want(parse_ref(name), status, self._at())

    async def learn(self, backoff: Backoff) -> None:
        """Wait until the log has all of the cluster; what is not wanted yet may be wanted then. Raises LogError."""
        name = SYNC + self.options.cluster
        while not self.writer.is_known:
            table = await read_table(self.log, Topic.STATE, self.options.partition, name)
            backoff.reset()
            row = table.rows.get(name)
            is_synced = row is not None and (decode_object(row) or {}).get("state") == "done"
            if is_synced and self.progress >= table.progress:
                self.writer.known(self._at())
                self.changed.set()
            else:
                await asyncio.sleep(_ASK_SECONDS)

    # -- writing ----------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Write what is due, for ever."""
        while True:
            self.changed.clear()
            write = self.writer.take(self._at())
            if write is not None:
                await self._apply(write)
                self.changed.set()
                continue
            wake = self.writer.agenda.wake()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(wake - self._at(), 0.0) if wake is not None else None):
                    await self.changed.wait()

    def _at(self) -> float:
        return self.options.clock()

    async def _apply(self, write: Write) -> None:
        ref = write.ref
        target = self.targets[ref.group, ref.kind]._replace(namespace=ref.namespace, name=ref.name)
        metadata = {"resourceVersion": write.version} if write.version else {}
        try:
            body = {"metadata": metadata, "status": write.status}
            object_ = await self.cluster.apply(target, body, MANAGER, "status")
        except NotServed:
            self.writer.wrote(write, None, self._at())
        except Conflict:
            self.options.telemetry.meters.count(STATUS_FAILURES, "conflict")
            self.writer.failed(write, self._at())
        except ClusterError as error:
            # Said once a kind: a role that may not write one may write none.
            what = str(error) if isinstance(error, Invalid) else f"{target.kind}: {error}"
            if self.reminders.setdefault(target.kind, Reminder()).is_due(what):
                _LOG.warning("a status cannot be written now, it is tried again", ref=str(ref), reason=str(error))
            self.options.telemetry.meters.count(STATUS_FAILURES, "refused" if isinstance(error, Invalid) else "away")
            self.writer.failed(write, self._at())
        else:
            self.options.telemetry.meters.count(STATUS_WRITES)
            self.writer.wrote(write, object_, self._at())
