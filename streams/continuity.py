"""The log must go on where it was left: knows an older or another copy of it by what was seen before, and refuses it.

It must never mend: whether to bring the newer copy back or to go on from the older one is a person's decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streams.ports import TRANSACTION_SECONDS, Log, LogBehind, Record, Writer
from streams.topics import Topic

if TYPE_CHECKING:
    from engine.resolve.settings import EngineSettings
    from streams.signing import Signer  # who only reads the stream needs nothing of the engine

BEGIN_ANEW: Final = (
    "Bring back the newer copy of it. Or begin a new log from the manifests: stop penstock, move DATA/broker (or the "
    "topics of a Kafka of yours) and DATA/snapshot away, and start it again; proxies that run keep what they serve"
)
_CAUSE: Final = "an older copy of the log was restored, or another one is connected"


def refuse(known: int, end: int, remedy: str = BEGIN_ANEW) -> None:
    """Refuse a log whose `end` (the offset behind its last record) is not above an offset that was seen.

    Raises LogBehind.
    """
    if known >= end:
        msg = f"the log ends at offset {end - 1}, but offset {known} was already seen: {_CAUSE}. {remedy}"
        raise LogBehind(msg)


@dataclass(frozen=True, slots=True)
class ContinuedLog:
    """A log that is refused before anything is followed or written while it ends below what is known outside it.

    `known` answers that offset, -1 when there is none; every call asks anew, for a broker may come back as another. It
    is asked in a thread: it may read a large file.
    """

    log: Log
    known: Callable[[], int]
    remedy: str
    partition: int = 0

    @property
    def signer(self) -> Signer | None:
        """See `Log.signer`."""
        return self.log.signer

    @property
    def trust(self) -> EngineSettings | None:
        """See `Log.trust`."""
        return self.log.trust

    async def check(self) -> None:
        """Raises LogBehind, TopicMissing or Unavailable."""
        known = await asyncio.to_thread(self.known)
        if known >= 0:
            _, end = await self.log.ends(Topic.CHANGES, self.partition)
            refuse(known, end, self.remedy)

    async def ends(self, topic: Topic, partition: int) -> tuple[int, int]:
        """See `Log.ends`. Raises LogBehind too."""
        await self.check()
        return await self.log.ends(topic, partition)

    async def since(self, topic: Topic, partition: int, millis: int) -> int:
        """See `Log.since`. Raises LogBehind too."""
        await self.check()
        return await self.log.since(topic, partition, millis)

    def read(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        """See `Log.read`."""
        return self.log.read(topic, partition, start)

    def pick(self, topic: Topic, partition: int, offsets: Iterable[int]) -> AsyncGenerator[Record]:
        """See `Log.pick`."""
        return self.log.pick(topic, partition, offsets)

    def follow(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        """See `Log.follow`."""
        return self.log.follow(topic, partition, start)

    @asynccontextmanager
    async def writer(self, transactional_id: str, seconds: float = TRANSACTION_SECONDS) -> AsyncIterator[Writer]:
        """See `Log.writer`; nothing is written over a log that is behind. Raises LogBehind too."""
        await self.check()
        async with self.log.writer(transactional_id, seconds) as writer:
            yield writer

    @asynccontextmanager
    async def appender(self) -> AsyncIterator[Writer]:
        """See `Log.appender`. Raises LogBehind too."""
        await self.check()
        async with self.log.appender() as writer:
            yield writer
