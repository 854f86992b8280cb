"""Records of the log that mean nothing: kept with their reason, and skipped by every later version as well.

It must never decide what is garbage (the codec does), and never forget: an offset skipped once stays skipped, or two
versions would fold two histories.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from streams.ports import Log, Outgoing, Record
from streams.topics import Topic

_KEPT_BYTES: Final = 512 * 1024
"""Of a record's value, and of its key: more is not needed to see whose it is, and garbage may be of any size."""

_REASON_LENGTH: Final = 2_000
_LOOKED_AT: Final = 1_000
_OFFSET_DIGITS: Final = 19
"""Of the greatest that Kafka has."""


def rejection(record: Record, reason: str) -> Outgoing:
    """The record as it came, with where it stood and why it was rejected in its headers.

    What is larger than `_KEPT_BYTES` is cut short, and the reason says so.
    """
    key, key_cut = _cut(record.key, "key")
    value, value_cut = _cut(record.value, "value")
    headers = (
        ("topic", record.topic.value.encode()),
        ("offset", str(record.offset).encode()),
        ("reason", f"{reason[:_REASON_LENGTH]}{key_cut}{value_cut}".encode(errors="replace")),
    )
    return Outgoing(Topic.REJECTED, record.partition, key, value, headers)


def _cut(data: bytes | None, name: str) -> tuple[bytes | None, str]:
    if data is None or len(data) <= _KEPT_BYTES:
        return data, ""
    return data[:_KEPT_BYTES], f"; of its {name}'s {len(data)} bytes the first {_KEPT_BYTES} are kept"


async def rejected_offsets(log: Log, partition: int) -> frozenset[int]:
    """Offsets of penstock.changes that were rejected. Raises Unavailable or TopicMissing."""
    found: set[int] = set()
    async for records in log.read(Topic.REJECTED, partition):
        found.update(offset for record in records if (offset := rejected_offset(record)) is not None)
    return frozenset(found)


async def lately(log: Log, partition: int, since: int) -> list[dict[str, Any]]:
    """Reasons for which records were rejected since a time (milliseconds since 1970): how often, and where last.

    Of the last `_LOOKED_AT` only: whoever forges one may forge any number. Raises Unavailable or TopicMissing.
    """
    _, end = await log.ends(Topic.REJECTED, partition)
    start = max(await log.since(Topic.REJECTED, partition, since), end - _LOOKED_AT)
    counted: Counter[str] = Counter()
    last: dict[str, int] = {}
    async for records in log.read(Topic.REJECTED, partition, start):
        for record in records:
            if (offset := rejected_offset(record)) is not None and (reason := rejected_reason(record)) is not None:
                counted[reason] += 1
                last[reason] = offset
    return [{"reason": one, "records": counted[one], "offset": last[one]} for one in sorted(last, key=last.__getitem__)]


async def reason_of(log: Log, partition: int, offset: int, since: int) -> str | None:
    """Why the record at an offset was rejected since a time; None when it was not. Raises as `lately`."""
    return await reason_behind(log, partition, offset, await log.since(Topic.REJECTED, partition, since))


async def reason_behind(log: Log, partition: int, offset: int, start: int) -> str | None:
    """As `reason_of`, from an offset of penstock.rejected on."""
    async for records in log.read(Topic.REJECTED, partition, start):
        for record in records:
            if rejected_offset(record) == offset:
                return rejected_reason(record)
    return None


def rejected_reason(record: Record) -> str | None:
    """Why; None for what no resolver wrote."""
    try:
        return record.header("reason")
    except UnicodeDecodeError:
        return None


def rejected_offset(record: Record) -> int | None:
    """Which offset was rejected; None for what no resolver wrote."""
    try:
        topic, offset = record.header("topic"), record.header("offset")
    except UnicodeDecodeError:
        return None
    if topic != Topic.CHANGES.value or not offset.isdecimal() or len(offset) > _OFFSET_DIGITS:
        return None
    return int(offset)
