"""The log as the rest of the shell sees it: small protocols with an in-memory and a Kafka twin.

No client library's type or exception passes through here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from streams.topics import Topic

if TYPE_CHECKING:
    from engine.resolve.settings import EngineSettings
    from streams.signing import Signer

Headers = tuple[tuple[str, bytes], ...]


class Record(NamedTuple):
    """A committed record. `timestamp` is in milliseconds since 1970; a `value` of None is a tombstone."""

    topic: Topic
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int

    def header(self, name: str, default: str = "") -> str:
        """The first header of that name as text."""
        for key, value in self.headers:  # A generator takes four times as long, for each record of a table.
            if key == name:
                return value.decode()
        return default


class Outgoing(NamedTuple):
    """A record to be written. The partition is always explicit: one domain, one partition."""

    topic: Topic
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


TRANSACTION_SECONDS = 10.0


class LogError(Exception):
    """Something about the log that the caller must act on; the message names the remedy."""


class Fenced(LogError):  # noqa: N818  the word of the field
    """A newer writer with the same transactional id took over, or a transaction timed out."""


class Unavailable(LogError):  # noqa: N818
    """The broker cannot be reached now."""


class Superseded(LogError):  # noqa: N818
    """Another writer has this one's place, and uses it: it must not be taken back."""


class TopicMissing(LogError):  # noqa: N818
    """A topic or partition does not exist, or not as it must be."""


class LogBehind(LogError):  # noqa: N818
    """The log ends before what was already applied or served: it is not the one we know, or an older copy of it."""


class Writer(Protocol):
    """Writes transactions under one transactional id, or, from `Log.appender`, records as they are."""

    async def write(self, records: Iterable[Outgoing]) -> list[int]:
        """Write all or nothing, nothing at all when there is none; answers the offsets. Raises Fenced or Unavailable.

        Records are taken one by one, so that a generator's are never all in memory.

        When the broker died in the middle, all of it may have been written: read before you write again.
        """


class Log(Protocol):
    """Reads are read_committed: aborted and open transactions are never seen."""

    @property
    def signer(self) -> Signer | None:
        """Who signs what is written into penstock.changes."""

    @property
    def trust(self) -> EngineSettings | None:
        """By what the resolver refuses what nobody registered has signed; None where that is not known."""

    async def ends(self, topic: Topic, partition: int) -> tuple[int, int]:
        """(first offset kept, offset after the last committed record)."""

    async def since(self, topic: Topic, partition: int, millis: int) -> int:
        """The first offset whose record was written at that time, milliseconds since 1970, or later; else the end."""

    def read(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        """Batches from `start` to the end as it is now. Raises Unavailable when the broker stops to answer before."""

    def pick(self, topic: Topic, partition: int, offsets: Iterable[int]) -> AsyncGenerator[Record]:
        """The records at these offsets in their order, of those that are there. Raises Unavailable."""

    def follow(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        """Batches from `start`, then whatever comes, for ever; goes on after the broker was away."""

    def writer(
        self, transactional_id: str, seconds: float = TRANSACTION_SECONDS
    ) -> AbstractAsyncContextManager[Writer]:
        """Fences every other writer of that id, then writes until left.

        A transaction that takes longer than `seconds` is aborted. Readers of its partitions wait so long for one that
        was left open, unless a writer of the same id comes.
        """

    def appender(self) -> AbstractAsyncContextManager[Writer]:
        """Writes records in their order, until left: no transaction, and nobody is fenced.

        For what is joined by maximum: of a write that fails a part may be there, and some of it twice.
        """
