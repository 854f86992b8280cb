"""Checkpoints of the fold state: a reading of the past begins at one of them instead of at the log's beginning.

One is the rows of penstock.state below a progress, in chunks, then a record that closes it and says where it and all
before it stand. It decides nothing: what was never closed is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, NamedTuple

import orjson

from streams.ports import Log, LogError, Outgoing, Record, Writer
from streams.topics import CONTROL, PART_BYTES, Topic, key
from streams.view import read_table

EVERY: Final = 2_500
"""Offsets between two checkpoints, at least: a change set that is written alone takes two, with its marker."""
_SHARE: Final = 4
"""Nor more often than one object in so many could have changed: each costs all objects."""
_CLOSING: Final = f"{CONTROL}checkpoint"
_LOOK_BACK: Final = 4


class Mark(NamedTuple):
    """Where a checkpoint stands: the `offset` that it is of, the first of its `records` on the topic, its `rows`."""

    offset: int
    begins: int
    records: int
    rows: int


def is_due(last: Mark | None, offset: int) -> bool:
    """Whether what was applied up to an offset is worth a checkpoint."""
    passed = offset - (last.offset if last is not None else 0)
    return passed >= max(EVERY, last.rows // _SHARE if last is not None else 0)


async def marks(log: Log, partition: int) -> tuple[Mark, ...]:
    """All checkpoints that are kept whole, the oldest first. Raises LogError."""
    first, end = await log.ends(Topic.CHECKPOINTS, partition)
    back = _LOOK_BACK
    while end > first:
        start = max(first, end - back)
        found: tuple[Mark, ...] | None = None
        async for records in log.read(Topic.CHECKPOINTS, partition, start):
            found = next((said for one in reversed(records) if (said := _said(one)) is not None), found)
        if found is not None:
            return tuple(one for one in found if one.begins >= first)
        if start == first:
            break
        back *= back
    return ()


async def rows_of(log: Log, partition: int, mark: Mark) -> dict[str, Any]:
    """The fold state of a checkpoint, by key. Raises LogError, also for one of which not all is there."""
    rows: dict[str, Any] = {}
    left, name = mark.records, f"/{mark.offset}".encode()
    # One by one: a read takes in some thirty checkpoints at once, and unpacks them all (measured).
    picked = log.pick(Topic.CHECKPOINTS, partition, range(mark.begins, mark.begins + mark.records))
    async with aclosing(picked):
        async for record in picked:
            if not (record.key or b"").endswith(name):
                break
            rows.update(orjson.loads(record.value or b"{}"))
            left -= 1
    if left or len(rows) != mark.rows:
        msg = f"the checkpoint of offset {mark.offset} is not whole: {len(rows)} of {mark.rows} rows are there"
        raise LogError(msg)
    return rows


async def write_checkpoint(log: Log, writer: Writer, partition: int, domain: str = "default") -> Mark | None:
    """Write what is applied by now, when it is more than the last checkpoint says; answers where. Raises LogError."""
    table = await read_table(log, Topic.STATE, partition)
    before = await marks(log, partition)
    if table.progress <= (before[-1].offset if before else -1):
        return None
    name = key(domain, str(table.progress))
    chunks = _chunks({row: record.value or b"null" for row, record in table.rows.items()})
    written = await writer.write(Outgoing(Topic.CHECKPOINTS, partition, name, chunk) for chunk in chunks)
    mark = Mark(table.progress, written[0], len(written), len(table.rows))
    closing = orjson.dumps({"marks": [list(one) for one in (*before, mark)]})
    await writer.write([Outgoing(Topic.CHECKPOINTS, partition, key(domain, _CLOSING), closing)])
    return mark


def _chunks(rows: Mapping[str, bytes]) -> Iterator[bytes]:
    """JSON objects of rows as they are, each of a record's size; one at least."""
    chunk: list[bytes] = []
    size = 0
    for name, value in sorted(rows.items()):
        entry = orjson.dumps(name) + b":" + value
        if chunk and size + len(entry) > PART_BYTES:
            yield _joined(chunk)
            chunk, size = [], 0
        chunk.append(entry)
        size += len(entry) + 1
    yield _joined(chunk)


def _joined(entries: Iterable[bytes]) -> bytes:
    return b"{" + b",".join(entries) + b"}"


def _said(record: Record) -> tuple[Mark, ...] | None:
    """The marks that a closing record tells of; None for any other record."""
    if record.key is None or not record.key.endswith(f"/{_CLOSING}".encode()):
        return None
    try:
        told = orjson.loads(record.value or b"null")["marks"]
        return tuple(_mark(one) for one in told)
    except (ValueError, TypeError, KeyError):
        return None


def _mark(told: Sequence[Any]) -> Mark:
    mark = Mark(*told)
    if not all(type(one) is int and one >= 0 for one in mark) or not mark.records:
        msg = "no mark"
        raise ValueError(msg)
    return mark
