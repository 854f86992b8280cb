"""A source hears that the resolver rejected what it wrote, and waits until that would be taken; it repairs nothing.

What was rejected is in nobody's state: the next comparison with the log finds it missing, and says it again.
"""

from __future__ import annotations

from typing import Final, Protocol

from engine.events import Change, Reachable, Unreachable
from streams.backoff import Backoff
from streams.ports import Log, LogError
from streams.rejected import reason_behind, rejected_offset, rejected_reason
from streams.topics import Topic
from streams.view import read_table

_KEPT: Final = 100_000
"""Records that a source knows for its own: the last of them."""


class Rejected(LogError):  # noqa: N818  the word of the topic
    """The resolver rejected what a source wrote; the message says why, and what to do."""


class Written:
    """The offsets of what one writer wrote last, and of what it took for its own."""

    def __init__(self) -> None:
        self._offsets: dict[int, None] = {}

    def add(self, offsets: list[int]) -> None:
        """Note what arrived."""
        self._offsets.update(dict.fromkeys(offsets))
        while len(self._offsets) > _KEPT:
            del self._offsets[next(iter(self._offsets))]

    def __contains__(self, offset: int) -> bool:
        return offset in self._offsets


class Journal(Protocol):
    """What is written by, see `streams.sources.journal`."""

    async def has_written(self, offset: int) -> bool: ...
    async def note(self, change: Change) -> int: ...


async def heed(log: Log, partition: int, journal: Journal, start: int) -> None:
    """Listen for ever, from an offset of penstock.rejected on. Raises Rejected for what the journal wrote or believed.

    Who forges records as ours cannot make us believe that ours were rejected: it goes by where they stand.
    """
    async for records in log.follow(Topic.REJECTED, partition, start):
        for record in records:
            offset = rejected_offset(record)
            if offset is not None and await journal.has_written(offset):
                raise Rejected(rejected_reason(record) or "it does not tell why")


async def taken(log: Log, partition: int, journal: Journal, stale: str) -> None:
    """Say what changes nothing, and wait for what becomes of it. Raises Rejected, or LogError.

    All that is missing is much larger: it is said once that is known to be taken.
    """
    _, start = await log.ends(Topic.REJECTED, partition)
    offset = await journal.note(Unreachable(stale) if stale else Reachable())
    backoff = Backoff(0.2)
    while (await read_table(log, Topic.INFRA, partition)).progress < offset:
        await backoff.wait()
    if (reason := await reason_behind(log, partition, offset, start)) is not None:
        raise Rejected(reason)
