"""The fold read at another offset: an engine of any moment of the log. It writes nothing, and asks no resolver."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from engine.changes import Garbage
from engine.events import ChangeSet
from streams import checkpoints
from streams.codec import decode_change_set
from streams.ports import Log, Record
from streams.rejected import rejected_offsets
from streams.topics import Topic


class NotKept(ValueError):  # noqa: N818
    """The log does not hold this moment; the message says what it holds."""


class Folding(Protocol):
    """What reading the past needs of an engine."""

    offset: int

    def load(self, state: Any, *, settle: bool) -> list[str]: ...
    def fold(self, change_set: ChangeSet, offset: int) -> list[str]: ...


E = TypeVar("E", bound=Folding)
_LOOK_BACK = 8
"""Offsets before what came later: the last record stands below markers."""
_MARKERS = 64
"""Offsets at the end of which one at least is most likely a record's."""
_MARKER = 1
"""Offsets that a transaction's marker takes."""


async def engine_at(log: Log, partition: int, make: Callable[[], E], to: int) -> E:
    """An engine that has folded the log up to an offset, from the last checkpoint before it.

    Raises NotKept, NewerSchema, or LogError.
    """
    first = await check_held(log, partition, to)
    found = await checkpoints.marks(log, partition)
    number = bisect_right(found, to, key=lambda one: one.offset)
    engine = make()
    if number:
        mark = found[number - 1]
        # What is asked for is derived at the end: to derive all of here too would take most of the time.
        engine.load((await checkpoints.rows_of(log, partition, mark)).items(), settle=False)
        engine.offset = mark.offset
    if first > engine.offset + 1 + (_MARKER if number else 0):
        later = found[number].offset if number < len(found) else None
        held = f"the first moment that can be read is {later}" if later is not None else "no checkpoint is left"
        msg = f"offset {to} cannot be read: what came before {first} was deleted, and {held}"
        raise NotKept(msg)
    async for change_set, offset in change_sets(log, partition, engine.offset + 1, to):
        engine.fold(change_set, offset)
    engine.offset = to
    return engine


async def change_sets(
    log: Log, partition: int, start: int = 0, to: int | None = None
) -> AsyncIterator[tuple[ChangeSet, int]]:
    """The change sets of the log from `start` to `to` or its end, with their offsets, without what is or was garbage.

    Raises NewerSchema or LogError.
    """
    rejected = await rejected_offsets(log, partition)
    async for records in log.read(Topic.CHANGES, partition, start):
        for record in records:
            if to is not None and record.offset > to:
                return
            if record.offset not in rejected and (found := _change_set(record)) is not None:
                yield found, record.offset


async def times(log: Log, partition: int, offsets: Iterable[int]) -> dict[int, str]:
    """When change sets were said, by their offsets; those that the log has no more are left out. Raises LogError."""
    found = {}
    for offset in sorted(set(offsets)):
        async for change_set, at in change_sets(log, partition, offset, offset):
            found[at] = change_set.time
    return found


def _change_set(record: Record) -> ChangeSet | None:
    try:
        return decode_change_set(record)
    except Garbage:
        return None


async def last_offset(log: Log, partition: int) -> int:
    """The last change set's offset, -1 where there is none. Raises LogError.

    Markers of transactions take offsets too, so it stands somewhat below the end.
    """
    first, end = await log.ends(Topic.CHANGES, partition)
    last = -1
    for start in (max(first, end - _MARKERS), first):
        async for records in log.read(Topic.CHANGES, partition, start):
            last = records[-1].offset
        if last >= 0:
            break
    return last


async def offset_at(log: Log, partition: int, millis: int) -> int:
    """The last offset that was there at a time, milliseconds since 1970, or says of itself that it was.

    Sources stamp what they see a moment before it is appended: who read a time in the log gets that record, too.
    Raises NotKept when the log begins later, or LogError.
    """
    after = await log.since(Topic.CHANGES, partition, millis + 1)
    first, _ = await log.ends(Topic.CHANGES, partition)
    back = _LOOK_BACK
    while (last := await _last_until(log, partition, (after - back, after), millis)) < 0:
        if after - back <= first:
            msg = "the log begins later than that"
            raise NotKept(msg)
        back *= _LOOK_BACK  # An aborted transaction leaves as many offsets without a record as it had.
    return last


async def _last_until(log: Log, partition: int, between: tuple[int, int], millis: int) -> int:
    """The last offset from the first of two on that is below the second, or says of itself that it was; -1 for none."""
    start, after = between
    last = -1
    async for records in log.read(Topic.CHANGES, partition, max(0, start)):
        for record in records:
            if record.offset >= after and _is_later(record, millis):
                return last
            last = record.offset
    return last


def _is_later(record: Record, millis: int) -> bool:
    said = _change_set(record)
    return said is not None and milliseconds(said.time) > millis


def milliseconds(time: str) -> int:
    """An RFC 3339 time as milliseconds since 1970. Raises ValueError."""
    return int(datetime.fromisoformat(time).timestamp() * 1000)


async def check_held(log: Log, partition: int, to: int) -> int:
    """The first offset that the log holds. Raises NotKept when it does not hold this one; a marker's is one too."""
    first, end = await log.ends(Topic.CHANGES, partition)
    if not first <= to < end:
        held = f"the log holds {first} to {end - 1}" if first < end else "the log holds none yet"
        msg = f"there is no offset {to}: {held}"
        raise NotKept(msg)
    return first
