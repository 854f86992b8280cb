"""How every source writes into the log: fenced, from a comparison with what the log says, bracketed the first time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from engine.events import WATCHERS, Change, ChangeSet, SyncBegin, SyncEnd
from streams.backoff import Backoff
from streams.cancellation import apart
from streams.codec import encode_change_set
from streams.ports import TRANSACTION_SECONDS, Fenced, Log, LogError, Superseded, Writer
from streams.reminder import Reminder
from streams.sources.logged import Logged, Place, logged, writer_of
from streams.sources.registry import counted
from streams.sources.rejections import Rejected, Written, heed, taken
from streams.telemetry import Telemetry
from streams.telemetry.metrics import APPENDED, STAGE
from streams.telemetry.traces import Attributes, Span
from streams.topics import Topic
from streams.view import read_table

_LOG = structlog.get_logger()
_FENCED_SECONDS = 5.0
_PATIENCE_SECONDS = 30.0
"""At most, between two looks whether what is rejected would be taken now: each is a record more that is rejected."""
_LONGER, _LONGEST_SECONDS = 3.0, 120.0
"""How much longer a transaction may take, each time that its own limit ended it. Readers wait for one left open."""

Group = tuple[str, Sequence[Change]]
"""An actor and what it changed."""


@dataclass(slots=True)
class Journal:
    """One stretch of writing; `logged` follows what was written. `now` answers RFC 3339 UTC."""

    place: Place
    writer: Writer
    logged: Logged
    now: Callable[[], str]
    number: int = 0
    tried: frozenset[str] = frozenset()
    """The ids of the change sets that it tried to write last: whether these arrived is not always known."""
    waits: str = "is compared with what the log says"
    """For what, until the source has brought the log to the world once."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    written: Written = field(default_factory=Written)
    """With what an earlier stretch wrote, or another process, of which nobody knows yet whether it is rejected."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of those who write, one at a time."""
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    """Once the log has the first listing."""

    def __post_init__(self) -> None:
        self.written.add(self.logged.believed)
        if self.logged.synced:
            self.synced.set()

    async def append(self, groups: Iterable[Group]) -> None:
        """Write each group as a change set, all in one transaction. Raises LogError.

        As long as the cluster has not synced all of it is its first listing, empty or not: one change set.
        """
        async with self.turn:
            given = list(groups)
            if not self.logged.synced:
                actor = given[0][0] if len(given) == 1 else ""
                given = [(actor, [SyncBegin(), *(one for _, changes in given for one in changes), SyncEnd()])]
            await self._write(given)
            self.synced.set()

    async def note(self, change: Change) -> int:
        """Write what is of the cluster itself, and no part of any listing; answers its offset. Raises LogError."""
        async with self.turn:
            return await self._write([("", [change])])

    async def has_written(self, offset: int) -> bool:
        """Whether a record is of this stretch, or was believed as it began; what is being written is waited for."""
        async with self.turn:
            return offset in self.written

    async def _write(self, given: Sequence[Group]) -> int:
        """Answers the last offset, or the end where there is nothing to say."""
        sets = [self._change_set(actor, changes) for actor, changes in given if changes]
        self.tried = frozenset(one.id for one in sets)
        spans = [self._span(one) for one in sets]
        records = [
            record
            for one, span in zip(sets, spans, strict=True)
            for record in encode_change_set(one, self.place.partition, span.traceparent)
        ]
        if records:
            began = self.telemetry.time()
            offsets = await self.writer.write(records)
            self.logged.end = offsets[-1] + 1
            self.written.add(offsets)
            self.telemetry.meters.count(APPENDED, amount=len(sets))
            self.telemetry.meters.observe(STAGE, self.telemetry.time() - began, "append")
            for span in spans:
                span.end()
        for _, changes in given:
            self.logged.take(changes)
        return self.logged.end - 1

    def _span(self, change_set: ChangeSet) -> Span:
        said: Attributes = {
            "penstock.cluster": self.place.cluster,
            "penstock.changes": len(change_set.changes),
            "penstock.actor": change_set.actor,
        }
        return self.telemetry.traces.begin("append", attributes=said)

    def _change_set(self, actor: str, changes: Sequence[Change]) -> ChangeSet:
        place, time = self.place, self.now()
        self.number += 1
        name = f"{place.cluster}-{time}-{self.number}"
        return ChangeSet(place.domain, place.cluster, place.source, name, time, actor, tuple(changes))


@dataclass(slots=True)
class _Standing:
    """How far a source came."""

    place: Place
    telemetry: Telemetry
    journal: Journal | None = None
    trouble: str = "waits for its place in the log"
    last: Journal | None = None
    """What was written by last, also when that is over."""
    fenced: Journal | None = None
    """What was written by when somebody took our place."""
    is_rejected: bool = False
    """Whether the resolver refused what was said last."""
    since: float = 0.0
    """When the last stretch began, by the loop's clock."""

    def has_lasted(self) -> bool:
        """Whether what was said in this stretch was taken for long: what is rejected now is another trouble."""
        return self.journal is not None and asyncio.get_running_loop().time() - self.since > _PATIENCE_SECONDS

    def waits(self) -> str:
        """For what; "" when the log says all that it sees."""
        if self.journal is None:
            return self.trouble
        return self.journal.waits and f"cluster {self.place.cluster} {self.journal.waits}"


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """All of them, until one fails: raises what it did."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for work in works:
                tasks.create_task(work)
    except ExceptionGroup as group:
        raise first(group) from None


def first(group: ExceptionGroup[Exception]) -> Exception:
    """What is at the bottom of it."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def keep_writing(
    log: Log,
    place: Place,
    now: Callable[[], str],
    stretch: Callable[[Journal], Coroutine[Any, Any, None]],
    telemetry: Telemetry | None = None,
) -> None:
    """Call `stretch` with a journal, again after every trouble with the log, for ever.

    Raises Superseded when another writer of the cluster took over.
    """
    standing = _Standing(place, telemetry or Telemetry())
    with standing.telemetry.health.part("log", standing.waits):
        await _keep_writing(log, standing, now, stretch)


async def _keep_writing(
    log: Log, standing: _Standing, now: Callable[[], str], stretch: Callable[[Journal], Coroutine[Any, Any, None]]
) -> None:
    place, reminder, seconds = standing.place, Reminder(), TRANSACTION_SECONDS
    backoff, patience = Backoff(), Backoff(1.0, _PATIENCE_SECONDS)
    while True:
        try:
            if standing.fenced is not None:
                await _check_alone(log, standing.fenced)
                # Nobody else wrote: its own limit ended it, or somebody who ended a hanging transaction.
                standing.fenced, seconds = None, min(seconds * _LONGER, _LONGEST_SECONDS)
            async with log.writer(writer_of(place.domain, place.cluster), seconds) as writer:
                journal, start = await _begun(log, standing, writer, now)
                backoff.reset()
                await apart(together(stretch(journal), heed(log, place.partition, journal, start)))
        except Superseded:
            raise
        except Fenced as error:
            _LOG.warning("the source lost its place in the log", cluster=place.cluster, reason=str(error))
            standing.fenced = standing.last
            standing.journal, standing.trouble = None, str(error)
            await asyncio.sleep(_FENCED_SECONDS)
        except Rejected as error:
            if standing.has_lasted():
                patience.reset()
            standing.journal, standing.is_rejected = None, True
            standing.trouble = f"what cluster {place.cluster} says is rejected by the resolver: {error}"
            if reminder.is_due(str(error)):
                _LOG.error("the resolver rejects the source's records", cluster=place.cluster, reason=str(error))
            await patience.wait()
        except LogError as error:
            # Whether the last write arrived is not known: what the log says now is compared again.
            standing.journal, standing.trouble = None, str(error)
            if reminder.is_due(str(error)):
                _LOG.warning("the source waits for the log", cluster=place.cluster, reason=str(error))
            await backoff.wait()


async def _begun(log: Log, standing: _Standing, writer: Writer, now: Callable[[], str]) -> tuple[Journal, int]:
    """A stretch of writing, and from where on penstock.rejected tells of it. Raises Rejected, or LogError."""
    place = standing.place
    if standing.is_rejected and log.signer is not None:
        log.signer.renew()
    _, start = await log.ends(Topic.REJECTED, place.partition)
    found = await logged(log, place.cluster, place.partition)
    standing.last = journal = Journal(place, writer, found, now, telemetry=standing.telemetry)
    if standing.is_rejected:
        await taken(log, place.partition, journal, found.stale)
        _LOG.info("the resolver takes the source's records again", cluster=place.cluster)
        standing.is_rejected = False
        found = await logged(log, place.cluster, place.partition)
        standing.last = journal = Journal(place, writer, found, now, telemetry=standing.telemetry)
    standing.journal, standing.since = journal, asyncio.get_running_loop().time()
    return journal, start


async def _check_alone(log: Log, fenced: Journal) -> None:
    """Raises Superseded when somebody else said something as our cluster since: each would undo what the other says."""
    place = fenced.place
    state = await read_table(log, Topic.STATE, place.partition)
    async for offset, said in counted(log, place.cluster, place.partition, state, fenced.logged.end):
        if said.source in WATCHERS and said.id not in fenced.tried:
            msg = (
                f"another watcher of cluster {place.cluster} has written to the log since (offset "
                f"{offset}, {said.time}, {said.actor or 'deletions only'}), what "
                f"{place.shown or 'this one'} says counts no more: stop one of the two, or name one of them "
                f"differently (NAME=DIR), and start again"
            )
            raise Superseded(msg)
