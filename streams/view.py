"""Reads the compacted output topics consistently: an update is seen whole or not at all; it writes nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

from streams.landmarks import Landmark, is_there, landmark
from streams.ports import Log, Record
from streams.topics import CONTROL, PROGRESS, Topic, split_key

_REMOVALS = 10_000
"""Rows that are gone whose positions are remembered one by one; of older ones the latest position of all."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a compacted topic says below its last progress record. `progress` is -1 when there was none."""

    rows: dict[str, Record]
    progress: int
    index: int = 0
    """The index of the last progress record among the records of its offset."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a follower stands behind a whole update: the next record of the topic, and what closed the update.

    `mark` is the record that closed it, by which it is known again; None where none did, or where nobody kept it.
    """

    following: int
    closed: tuple[int, int]
    mark: Landmark | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows set, or removed where None, up to the offset `progress`; `snapshot` marks a whole one, such as the first.

    Who reads a large one lets go of each row that it has read: the batch is held until the next one comes.
    """

    rows: dict[str, Record | None]
    progress: int
    snapshot: bool
    closings: tuple[Record, ...] = ()
    """The progress records that closed its updates; of a snapshot none."""
    place: Place = Place(0, (-1, 0))
    """From where who has read it goes on."""


@dataclass(slots=True)
class _Fold:
    """Collects records of keys `under` a prefix until a progress record closes them."""

    under: str = ""
    waiting: dict[str, Record | None] = field(default_factory=dict)
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Where each row that is there was last set."""
    gone: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Where each that is not was removed, the latest last."""
    forgotten: tuple[int, int] = (-1, -1)
    """Nothing up to here is news of a row that is in neither."""
    closed: tuple[int, int] = (-1, 0)

    def take(self, record: Record) -> bool:
        """Add a record; answers whether it closed an update."""
        if record.key is None:
            return False
        try:
            _, rest = split_key(record.key)
            position = (int(record.header("offset")), int(record.header("index", "0")))
        except ValueError:
            # Not written by a resolver: nothing that we could have emitted.
            return False
        if rest == PROGRESS:
            closes = position > self.closed
            self.closed = max(self.closed, position)
            return closes
        if rest.startswith(CONTROL) or not rest.startswith(self.under):
            return False
        # A hung transaction made visible late repeats records: only a greater position counts.
        if position <= (self.seen.get(rest) or self.gone.get(rest, self.forgotten)):
            return False
        self._note(rest, position, is_there=record.value is not None)
        self.waiting[rest] = record if record.value is not None else None
        return False

    def _note(self, rest: str, position: tuple[int, int], *, is_there: bool) -> None:
        self.gone.pop(rest, None)
        if is_there:
            self.seen[rest] = position
            return
        self.seen.pop(rest, None)
        self.gone[rest] = position
        if len(self.gone) > _REMOVALS:
            # Else a follower would know every row that ever was. What repeats it later stands at no greater position.
            self.forgotten = max(self.forgotten, self.gone.pop(next(iter(self.gone))))

    def close(self, records: list[Record], rows: dict[str, Record | None]) -> list[Record]:
        """Take records; rows of updates that are whole now go to `rows`. Answers what closed updates."""
        closings = []
        for record in records:
            if self.take(record):
                rows.update(self.waiting)
                self.waiting = {}
                closings.append(record)
        return closings


async def read_table(log: Log, topic: Topic, partition: int, under: str = "") -> Table:
    """The rows of a compacted topic, or those under a prefix, as of its last progress record. Raises Unavailable."""
    fold = _Fold(under)
    rows: dict[str, Record | None] = {}
    async for records in log.read(topic, partition):
        fold.close(records, rows)
    return Table({key: row for key, row in rows.items() if row is not None}, *fold.closed)


async def read_convergence(log: Log, partition: int) -> dict[str, dict[str, Any]]:
    """The rows of penstock.convergence by gateway, sorted: no update closes these. Raises Unavailable."""
    from streams.codec import decode_convergence  # noqa: PLC0415  it brings the engine, which readers of rows lack

    found: dict[bytes, dict[str, Any]] = {}
    async for records in log.read(Topic.CONVERGENCE, partition):
        for record in records:
            if record.key is None:
                continue
            if record.value is None:
                found.pop(record.key, None)  # a stranger's key may be no text
            elif record.key.isascii() and (row := decode_convergence(record)) is not None:
                found[record.key] = row
    return dict(sorted((split_key(key)[1], row) for key, row in found.items()))


@dataclass(slots=True)
class _Sequence:
    """Notices records that are missing from a topic: they were removed by compaction before they were read.

    One offset may be missing behind what closes an update: the marker of its transaction. What dying writers leave
    looks like a loss, too; the topic is then read once more than it had to be.
    """

    following: int
    is_closed: bool = False

    def misses(self, records: Iterable[Record]) -> bool:
        """Whether anything is missing before or among the next records."""
        missing = False
        for record in records:
            missing |= record.offset - self.following > int(self.is_closed)
            self.following = record.offset + 1
            self.is_closed = record.key is not None and f"/{CONTROL}".encode() in record.key
        return missing


async def follow_table(log: Log, topic: Topic, partition: int, since: Place | None = None) -> AsyncIterator[Batch]:
    """The table as it is, then every change of it, for ever; from the `place` of a batch on only what came since.

    A place in a topic that was made anew meanwhile, or in another log's, leads to the table as it is. Who was away for
    longer than the topic keeps removals (delete.retention.ms) gets it once more, too: that a row is gone is then said
    by its absence only. What was handed over is not held here: a whole domain's records would be, until its next
    change.
    """
    while True:
        # The end counts transaction markers too, which are never read: so not the last record's offset.
        _, end = await log.ends(topic, partition)
        rows: dict[str, Record | None] = {}
        if since is not None and since.following <= end and await _is_known(log, topic, partition, since):
            fold, sequence = (
                _Fold(forgotten=since.closed, closed=since.closed),
                _Sequence(since.following, is_closed=True),
            )
            place, since = since, None
        else:
            fold, sequence, place = _Fold(), _Sequence(0), Place(0, (-1, 0))
            async for records in log.read(topic, partition):
                sequence.misses(records)
                place = _after(fold.close(records, rows), fold, place)
            if sequence.following < end:
                sequence = _Sequence(end)
                place = Place(end, fold.closed, place.mark) if not fold.waiting else place
            # Handed over at once: a name for the rows would hold them until the next change.
            yield Batch(_there(_taken(rows)), fold.closed[0], snapshot=True, place=place)
        followed = cast("AsyncGenerator[list[Record]]", log.follow(topic, partition, sequence.following))
        async with aclosing(followed):
            async for records in followed:
                if sequence.misses(records):
                    break
                if closings := fold.close(records, rows):
                    place = _after(closings, fold, place)
                    yield Batch(_taken(rows), fold.closed[0], False, tuple(closings), place)


def _after(closings: Sequence[Record], fold: _Fold, before: Place) -> Place:
    return Place(closings[-1].offset + 1, fold.closed, landmark(closings[-1])) if closings else before


async def _is_known(log: Log, topic: Topic, partition: int, place: Place) -> bool:
    return place.mark is None or await is_there(log, topic, partition, place.mark)


def _there(rows: dict[str, Record | None]) -> dict[str, Record | None]:
    return {key: row for key, row in rows.items() if row is not None}


def _taken(rows: dict[str, Record | None]) -> dict[str, Record | None]:
    taken = dict(rows)
    rows.clear()
    return taken
