"""Which record stood just before a place: by it a reader that comes back knows whether it is the log that it knew."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple, cast
from zlib import crc32

from streams.ports import Log, Record
from streams.topics import Topic


class Landmark(NamedTuple):
    """A record: where it stands, and a checksum of what it says. Two logs have many that differ in nothing else."""

    offset: int
    checksum: int


def landmark(record: Record) -> Landmark:
    """Of the time it says what a header says, not when the broker got it."""
    checksum = crc32(record.value or b"", crc32(record.key or b""))
    for name, value in record.headers:
        checksum = crc32(value or b"", crc32(name.encode(), checksum))
    return Landmark(record.offset, checksum)


async def is_there(log: Log, topic: Topic, partition: int, mark: Landmark) -> bool:
    """Whether the record stands where it stood, or before all that is kept: what is deleted says nothing.

    Raises LogError. It is read, not picked: for an offset behind which only markers of transactions come a pick waits.
    """
    first, _ = await log.ends(topic, partition)
    if mark.offset < first:
        return True
    read = cast("AsyncGenerator[list[Record]]", log.read(topic, partition, mark.offset))
    async with aclosing(read):
        async for records in read:
            return landmark(records[0]) == mark
    return False
