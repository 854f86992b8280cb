"""One domain of the log: acquires it, folds change sets, writes what they changed; it knows no host.

Progress is written in the transaction of the outputs, so no offset is applied twice or skipped, whatever delivers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import orjson
import structlog

from engine.changes import Garbage
from engine.events import ChangeSet, EngineChanged
from engine.fold import stale_clusters
from engine.update import Delta, Fragment, Update
from streams import collector
from streams.clock import now
from streams.codec import (
    NewerSchema,
    change_summary,
    decode_change_set,
    decode_fragment,
    decode_object,
    dumps,
    encode_change_set,
    encode_update,
    progress_records,
    trace_of,
    traced,
)
from streams.continuity import BEGIN_ANEW, refuse
from streams.ports import Log, LogBehind, LogError, Outgoing, Record, Writer
from streams.rejected import rejected_offsets, rejection
from streams.reminder import Reminder
from streams.telemetry import Telemetry
from streams.telemetry.metrics import REJECTED, RESOLVED, STAGE
from streams.telemetry.traces import Span
from streams.topics import OPENING, OUTPUTS, Topic, key
from streams.updates import decode_update
from streams.view import Table, read_table

_LOG = structlog.get_logger()
_BATCH = 200
"""Change sets that share a transaction: one each manages only a hundred a second (measured)."""

_SECONDS = 120.0
"""For one transaction: an update is never split, and a whole domain's holds 10 records a route. One that a killed owner
left open ends at once when the next one comes, for it writes under the same id."""

_LOOK_SECONDS = 0.005
_RECONCILED = (Topic.XDS, Topic.GRAPH, Topic.STATUS, Topic.INFRA)
"""Output topics whose rows are a function of the fold state, which penstock.state holds; in the order of an Update."""


class Fold(Protocol):
    """What a domain needs of an engine."""

    offset: int

    def apply(self, change_set: ChangeSet, offset: int) -> Update: ...
    def load(self, state: Iterable[tuple[str, Any]]) -> list[str]: ...
    def everything(self) -> Update: ...
    def state(self) -> dict[str, Any]: ...


_Taken = tuple[Record, Span]
"""A change set's record that was applied, and the step of its trace that does so."""


class DomainStopped(LogError):  # noqa: N818
    """The domain must not go on: its last state stays served until a person acts."""


@dataclass(frozen=True, slots=True)
class DomainOptions:
    """`version` is the engine's, noted in the log when it changes ("": never); `clock` answers RFC 3339."""

    name: str = "default"
    partition: int = 0
    version: str = ""
    clock: Callable[[], str] = now
    telemetry: Telemetry = field(default_factory=Telemetry)


@dataclass(slots=True)
class _Held:
    """What is held while the domain is ours."""

    writer: Writer
    engine: Fold
    following: int
    """The next offset of penstock.changes that was not read."""
    rejected: frozenset[int]
    told: int
    """The last offset that penstock.updates tells of; -1 where the state says what was applied."""
    marker: int = 1
    """How many offsets from there on are known to be a marker at most: 0 when the log was read to its end."""

    def read(self, following: int, marker: int) -> None:
        """What is below an offset was read."""
        if following >= self.following:
            self.following, self.marker = following, marker


class Domain:
    """The resolver's work on one partition. `fold` makes an empty engine."""

    def __init__(self, log: Log, fold: Callable[[], Fold], options: DomainOptions | None = None) -> None:
        self._log = log
        self._fold = fold
        self._options = options or DomainOptions()
        self._stack = AsyncExitStack()
        self._held: _Held | None = None
        self._reminder = Reminder()
        self.wake_at: str | None = None
        self.stale: frozenset[str] = frozenset()

    @property
    def offset(self) -> int:
        """The last offset applied, -1 when none or not acquired."""
        return self._held.engine.offset if self._held is not None else -1

    @property
    def following(self) -> int:
        """The next offset of penstock.changes that was not read, -1 when not acquired."""
        return self._held.following if self._held is not None else -1

    async def acquire(self) -> None:
        """Take the domain, catch up with the log, and emit only what differs: the three steps below in turn.

        Raises Fenced, Unavailable, TopicMissing, or DomainStopped.
        """
        with collector.paused():
            await self.take()
            async for records in self.missing():
                await self.apply(records)
            await self.reconcile()

    async def release(self) -> None:
        """Forget everything; the next owner reads it back."""
        self._held = None
        self.wake_at = None
        collector.forget()
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()

    async def take(self) -> None:
        """Fence others and read the fold state. Raises as `acquire`."""
        await self.release()
        name, partition = self._options.name, self._options.partition
        writer = await self._stack.enter_async_context(self._log.writer(f"resolver-{name}", _SECONDS))
        # A transaction over every output partition first: one that a dying broker left hanging is closed by it,
        # and is then seen by the reads below (measured: 3 of 24 double kills left one).
        await writer.write([Outgoing(topic, partition, key(name, OPENING), b"{}") for topic in OUTPUTS])
        engine = self._fold()
        state = await read_table(self._log, Topic.STATE, partition)
        self.stale = stale_clusters(state.rows)
        for warning in engine.load(_drained(state.rows)):
            _LOG.warning(warning)
        engine.offset = max(engine.offset, state.progress)
        self._check(engine.offset, *await self._log.ends(Topic.CHANGES, partition))
        told = await self._told() if engine.offset < 0 else -1
        self._held = _Held(writer, engine, engine.offset + 1, await rejected_offsets(self._log, partition), told)

    async def _told(self) -> int:
        """A state that was lost is folded again from the log: its history is not told twice."""
        told = -1
        async for records in self._log.read(Topic.UPDATES, self._options.partition):
            told = max([told, *(one["offset"] for row in records if (one := decode_update(row)) is not None)])
        return told

    def _check(self, progress: int, first: int, end: int) -> None:
        """The log must go on where we stopped. Raises DomainStopped."""
        name = self._options.name
        try:
            refuse(progress, end)
        except LogBehind as error:
            msg = f"domain {name}: {error}"
            raise DomainStopped(msg) from error
        # One offset may lie between: the marker of the last transaction that was applied.
        if first > progress + (1 if progress < 0 else 2):
            msg = (
                f"the log of domain {name} begins at offset {first}, but only {progress} was applied: what lies "
                f"between was deleted unseen. {BEGIN_ANEW}"
            )
            raise DomainStopped(msg)

    async def end(self) -> int:
        """The offset after the last record of penstock.changes. Raises LogError."""
        return (await self._log.ends(Topic.CHANGES, self._options.partition))[1]

    async def missing(self) -> AsyncIterator[list[Record]]:
        """What the log holds above what was read, to its end as it is now, in batches for `apply`."""
        held, end = self._ours(), await self.end()
        async for records in self._log.read(Topic.CHANGES, self._options.partition, held.following):
            for first in range(0, len(records), _BATCH):
                yield records[first : first + _BATCH]
        held.read(end, 0)

    def lacks(self, end: int) -> bool:
        """Whether what was read is not all that lies below an offset: one that is left may be a commit's marker."""
        held = self._ours()
        return end > held.following + held.marker

    def adjoins(self, records: Iterable[Record]) -> bool:
        """Whether nothing was left out before or between these but what may be the marker of a commit.

        Where a transaction was aborted, or two ended together, more is left out of what is delivered: that is no hole,
        but only the log can say so.
        """
        held = self._ours()
        following, marker = held.following, held.marker
        for record in records:
            if record.offset > following + marker:
                return False
            if record.offset >= following:
                following, marker = record.offset + 1, 1
        return True

    async def apply(self, records: Sequence[Record]) -> None:
        """Fold records of penstock.changes that are above what was applied, in one transaction.

        Raises Fenced, Unavailable or DomainStopped: memory is then ahead of the log, and only `acquire` mends that.
        """
        with collector.paused():
            await self._apply(records)

    async def _apply(self, records: Sequence[Record]) -> None:
        held = self._ours()
        outgoing: list[Iterable[Outgoing]] = []
        taken: list[_Taken] = []
        for record in records:
            if record.offset < held.following:
                continue
            held.read(record.offset + 1, 1)
            try:
                outgoing.append(self._records(held, record, taken))
            except DomainStopped:
                # What came before is good: it is written, and the domain stops exactly here.
                await held.writer.write(chain.from_iterable(outgoing))
                raise
            # A burst must not hold up heartbeats: other tasks get their turn between change sets.
            await asyncio.sleep(0)
        await held.writer.write(chain.from_iterable(outgoing))
        self._tell(taken)

    def _tell(self, resolved: Sequence[_Taken]) -> None:
        """Their outputs can be read now."""
        telemetry = self._options.telemetry
        for record, span in resolved:
            span.end()
            telemetry.meters.count(RESOLVED)
            telemetry.meters.observe(STAGE, telemetry.time() - record.timestamp / 1000, "resolve")

    def _ours(self) -> _Held:
        if self._held is None:
            msg = "the domain is used before it is taken"
            raise RuntimeError(msg)
        return self._held

    def _records(self, held: _Held, record: Record, taken: list[_Taken]) -> Iterable[Outgoing]:
        """What a record is to write; one that was applied is `taken`."""
        options = self._options
        try:
            change_set = None if record.offset in held.rejected else decode_change_set(record)
        except NewerSchema as error:
            raise DomainStopped(str(error)) from error
        except Garbage as error:
            return self._reject(held, record, str(error))
        if change_set is None:
            return self._skip(held, record)
        offset, traces = {"penstock.offset": record.offset}, options.telemetry.traces
        span = traces.begin("resolve", trace_of(record), attributes=offset)
        update = held.engine.apply(change_set, record.offset)
        if update.refusal:
            span.end(update.refusal)
            return self._reject(held, record, update.refusal)
        taken.append((record, span))
        for warning in update.warnings:
            _LOG.warning(warning, offset=record.offset)
        self.wake_at = update.wake_at
        self.stale = (self.stale - stale_clusters(update.state.removed)) | stale_clusters(update.state.set)
        summary = {**change_summary(change_set), "engine": options.version}
        encoded = encode_update(options.name, options.partition, update, summary)
        # One by one: of a whole domain's update all of them would take many times its own memory.
        marked = (traced(one, span.traceparent) for one in encoded)
        return (one for one in marked if one.topic is not Topic.UPDATES or record.offset > held.told)

    def _reject(self, held: _Held, record: Record, reason: str) -> list[Outgoing]:
        # Whoever forges one forges thousands: the same words are not said of each.
        if self._reminder.is_due(reason):
            _LOG.warning("a record was rejected", offset=record.offset, reason=reason)
        self._options.telemetry.meters.count(REJECTED)
        return [rejection(record, reason), *self._skip(held, record)]

    def _skip(self, held: _Held, record: Record) -> list[Outgoing]:
        held.engine.offset = record.offset
        mark = {"time": "", "engine": self._options.version}
        return progress_records(self._options.name, self._options.partition, record.offset, mark)

    async def reconcile(self) -> None:
        """Emit the difference between what is wanted and what the output topics say."""
        await self._note_version()
        held = self._ours()
        if held.engine.offset < 0:
            return
        wanted = held.engine.everything()
        self.wake_at = wanted.wake_at
        first = 0
        differing: dict[Topic, Delta] = {}
        deltas = (wanted.fragments, wanted.nodes, wanted.statuses, wanted.infra)
        # One topic after another: all that was ever emitted need not be in memory at once.
        for topic, delta in zip(_RECONCILED, deltas, strict=True):
            emitted = await self._table(topic, wanted.offset)
            differing[topic] = _difference(delta, emitted)
            if emitted.progress == wanted.offset:
                # It was closed already: what is emitted now goes behind what is there.
                first = max(first, emitted.index + 1)
        if any(differing.values()):
            options = self._options
            summary = {
                "cluster": "",
                "source": "resolver",
                "actor": "penstock",
                "changes": [{"verb": "reconcile"}],
                "engine": options.version,
            }
            fragments, nodes, statuses, infra = differing.values()
            difference = Update(wanted.offset, wanted.time, fragments, nodes, statuses, infra)
            await held.writer.write(encode_update(options.name, options.partition, difference, summary, first))

    async def _note_version(self) -> None:
        """An engine of another version notes itself in the log: what it says differently has an offset of its own."""
        held, options = self._ours(), self._options
        known = (held.engine.state().get("engine") or {}).get("version", "")
        if not options.version or known == options.version:
            return
        change_set = ChangeSet(
            options.name,
            "",
            "resolver",
            f"engine-{options.version}-{held.following}",
            options.clock(),
            "penstock",
            (EngineChanged(options.version),),
        )
        noted = (await held.writer.write(encode_change_set(change_set, options.partition)))[-1]
        while held.following <= noted:
            # It is read once its marker stands, a moment after the commit is answered.
            await asyncio.sleep(_LOOK_SECONDS)
            async for records in self.missing():
                await self.apply(records)

    async def _table(self, topic: Topic, offset: int) -> Table:
        table = await read_table(self._log, topic, self._options.partition)
        if table.progress > offset:
            msg = (
                f"penstock.{topic.value} knows offset {table.progress}, but the log of domain {self._options.name} "
                f"ends at {offset}: an older copy of the log was restored. {BEGIN_ANEW}"
            )
            raise DomainStopped(msg)
        return table


def _difference(wanted: Delta, emitted: Table) -> Delta:
    changed = {name: value for name, value in wanted.set.items() if not _is_emitted(value, emitted.rows.get(name))}
    removed = frozenset(emitted.rows.keys() - wanted.set.keys())
    return Delta(changed, removed, _nodes_before(emitted, removed.union(changed)))


def _nodes_before(emitted: Table, names: Iterable[str]) -> dict[str, Any]:
    """What penstock.graph said; nothing for what somebody forged."""
    rows = {name: emitted.rows[name] for name in names if name in emitted.rows}
    values = {name: decode_object(row) for name, row in rows.items() if row.topic is Topic.GRAPH}
    return {name: value for name, value in values.items() if value is not None}


def _is_emitted(value: Any, row: Record | None) -> bool:
    if row is None:
        return False
    if not isinstance(value, Fragment):
        return row.value == dumps(value)
    try:
        return decode_fragment(row) == value
    except Garbage:
        # Forged: it is replaced.
        return False


def _drained(rows: dict[str, Record]) -> Iterator[tuple[str, Any]]:
    """The rows as JSON; each is let go when it is read, or all would be in memory twice."""
    while rows:
        name, row = rows.popitem()
        yield name, orjson.loads(row.value or b"null")
