"""The log in memory: the twin of the Kafka one, for tests and offline tools; it keeps nothing."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from engine.resolve.settings import EngineSettings
from streams.ports import TRANSACTION_SECONDS, Fenced, Outgoing, Record, Unavailable, Writer
from streams.signing import Signer
from streams.topics import Topic

_BATCH = 500


def _no_time() -> int:
    return 0


class MemoryLog:
    """Transactions, fencing and following as the real one; `clock` answers milliseconds since 1970.

    While `down` is true every call raises Unavailable, and is counted; followers wait.
    """

    def __init__(self, clock: Callable[[], int] = _no_time, signer: Signer | None = None) -> None:
        self.down = False
        self.turned_away = 0
        self.signer = signer
        self.trust: EngineSettings | None = None
        self._clock = clock
        self._records: dict[tuple[Topic, int], list[Record]] = defaultdict(list)
        self._ends: dict[tuple[Topic, int], int] = defaultdict(int)
        self._epochs: dict[str, int] = defaultdict(int)
        self._written = asyncio.Condition()

    async def ends(self, topic: Topic, partition: int) -> tuple[int, int]:
        """See `Log.ends`."""
        self._check()
        return 0, self._ends[topic, partition]

    async def since(self, topic: Topic, partition: int, millis: int) -> int:
        """See `Log.since`."""
        self._check()
        found = (one.offset for one in self._records[topic, partition] if one.timestamp >= millis)
        return next(found, self._ends[topic, partition])

    async def read(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        """See `Log.read`."""
        self._check()
        records = self._records[topic, partition]
        end = len(records)
        for first in range(_index(records, start), end, _BATCH):
            self._check()
            yield records[first : min(first + _BATCH, end)]

    async def pick(self, topic: Topic, partition: int, offsets: Iterable[int]) -> AsyncGenerator[Record]:
        """See `Log.pick`."""
        self._check()
        records = self._records[topic, partition]
        for offset in offsets:
            found = _index(records, offset)
            if found < len(records) and records[found].offset == offset:
                yield records[found]

    async def follow(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        """See `Log.follow`."""
        records = self._records[topic, partition]
        at = start
        while True:
            async with self._written:
                while not records or records[-1].offset < at or self.down:
                    await self._written.wait()
            # By offset: compaction takes records away before where it stands.
            first = _index(records, at)
            batch = records[first : first + _BATCH]
            at = batch[-1].offset + 1
            yield batch

    @asynccontextmanager
    async def writer(self, transactional_id: str, seconds: float = TRANSACTION_SECONDS) -> AsyncIterator[Writer]:  # noqa: ARG002  nothing here takes time
        """See `Log.writer`."""
        self._check()
        self._epochs[transactional_id] += 1
        yield _MemoryWriter(self, transactional_id, self._epochs[transactional_id])

    @asynccontextmanager
    async def appender(self) -> AsyncIterator[Writer]:
        """See `Log.appender`."""
        self._check()
        yield _MemoryAppender(self)

    def compact(self, topic: Topic, partition: int) -> None:
        """What a broker leaves of a compacted topic: of each key the last record, and of removals, in time, nothing."""
        records = self._records[topic, partition]
        last = {one.key: one.offset for one in records}
        records[:] = [one for one in records if one.value is not None and last[one.key] == one.offset]

    async def resume(self) -> None:
        """The broker is back: followers go on."""
        self.down = False
        async with self._written:
            self._written.notify_all()

    async def _commit(self, transactional_id: str, epoch: int, records: Sequence[Outgoing]) -> list[int]:
        self._check()
        if self._epochs[transactional_id] != epoch:
            msg = f"another writer took over {transactional_id}"
            raise Fenced(msg)
        # A transaction's marker takes an offset that no reader ever sees.
        return await self._append(records, markers=1)

    async def _append(self, records: Sequence[Outgoing], markers: int = 0) -> list[int]:
        self._check()
        now = self._clock()
        offsets = []
        async with self._written:
            for topic, number, key, value, headers in self._signed(records):
                offset = self._ends[topic, number]
                offsets.append(offset)
                self._records[topic, number].append(Record(topic, number, offset, key, value, headers, now))
                self._ends[topic, number] = offset + 1
            for at in {(record.topic, record.partition) for record in records}:
                self._ends[at] += markers
            self._written.notify_all()
        return offsets

    def _signed(self, records: Sequence[Outgoing]) -> Iterable[Outgoing]:
        return records if self.signer is None else map(self.signer.signed, records)

    def _check(self) -> None:
        if self.down:
            self.turned_away += 1
            msg = "the broker cannot be reached"
            raise Unavailable(msg)


def _index(records: Sequence[Record], offset: int) -> int:
    return bisect_left(records, offset, key=lambda record: record.offset)


class _MemoryWriter:
    def __init__(self, log: MemoryLog, transactional_id: str, epoch: int) -> None:
        self._log = log
        self._transactional_id = transactional_id
        self._epoch = epoch

    async def write(self, records: Iterable[Outgoing]) -> list[int]:
        """See `Writer.write`."""
        return await self._log._commit(self._transactional_id, self._epoch, list(records))  # noqa: SLF001


class _MemoryAppender:
    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def write(self, records: Iterable[Outgoing]) -> list[int]:
        """See `Writer.write`."""
        return await self._log._append(list(records))  # noqa: SLF001
