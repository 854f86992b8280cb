"""Reads the compacted output topics consistently: an update is seen whole or not at all; it writes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

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
class Batch:
    """Rows set, or removed where None, up to the offset `progress`; `snapshot` marks the first, whole one.

    Who reads a large one lets go of each row that it has read: the batch is held until the next one comes.
    """

    rows: dict[str, Record | None]
    progress: int
    snapshot: bool


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

    def close(self, records: list[Record], rows: dict[str, Record | None]) -> bool:
        """Take records; rows of updates that are whole now go to `rows`. Answers whether any update closed."""
        closed = False
        for record in records:
            if self.take(record):
                rows.update(self.waiting)
                self.waiting = {}
                closed = True
        return closed


async def read_table(log: Log, topic: Topic, partition: int, under: str = "") -> Table:
    """The rows of a compacted topic, or those under a prefix, as of its last progress record. Raises Unavailable."""
    fold = _Fold(under)
    rows: dict[str, Record | None] = {}
    async for records in log.read(topic, partition):
        fold.close(records, rows)
    return Table({key: row for key, row in rows.items() if row is not None}, *fold.closed)


async def follow_table(log: Log, topic: Topic, partition: int) -> AsyncIterator[Batch]:
    """The table as it is, then every change of it, for ever.

    What was handed over is not held here: a whole domain's records would be, until its next change.
    """
    # The end counts transaction markers too, which are never read: so not the last record's offset.
    _, following = await log.ends(topic, partition)
    fold = _Fold()
    rows: dict[str, Record | None] = {}
    async for records in log.read(topic, partition):
        following = max(following, records[-1].offset + 1)
        fold.close(records, rows)
    yield Batch({key: row for key, row in _taken(rows).items() if row is not None}, fold.closed[0], snapshot=True)
    async for records in log.follow(topic, partition, following):
        if fold.close(records, rows):
            yield Batch(_taken(rows), fold.closed[0], snapshot=False)


def _taken(rows: dict[str, Record | None]) -> dict[str, Record | None]:
    taken = dict(rows)
    rows.clear()
    return taken
