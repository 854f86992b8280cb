"""Records of the log that mean nothing: kept with their reason, and skipped by every later version as well.

It must never decide what is garbage (the codec does), and never forget: an offset skipped once stays skipped, or two
versions would fold two histories.
"""

from __future__ import annotations

from streams.ports import Log, Outgoing, Record
from streams.topics import Topic


def rejection(record: Record, reason: str) -> Outgoing:
    """The record as it came, with where it stood and why it was rejected in its headers."""
    headers = (
        ("topic", record.topic.value.encode()),
        ("offset", str(record.offset).encode()),
        ("reason", reason.encode()),
    )
    return Outgoing(Topic.REJECTED, record.partition, record.key, record.value, headers)


async def rejected_offsets(log: Log, partition: int) -> frozenset[int]:
    """Offsets of penstock.changes that were rejected. Raises Unavailable or TopicMissing."""
    found: set[int] = set()
    async for records in log.read(Topic.REJECTED, partition):
        for record in records:
            offset = record.header("offset")
            if record.header("topic") == Topic.CHANGES.value and offset.isdecimal():
                found.add(int(offset))
    return frozenset(found)
