"""The log on Kafka; aiokafka's types and exceptions stay here, in `streams.clients` and in `streams.creation`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    IllegalOperation,
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    ProducerFenced,
    UnknownTopicOrPartitionError,
)

from streams.clients import end_task, stop_consumer, stop_producer
from streams.continuity import BEGIN_ANEW
from streams.creation import check, create
from streams.ports import TRANSACTION_SECONDS, Fenced, LogError, Outgoing, Record, TopicMissing, Unavailable, Writer
from streams.topics import Topic, topic_name, topic_specs

if TYPE_CHECKING:
    from engine.resolve.settings import EngineSettings
    from streams.signing import Signer  # who only reads the stream needs nothing of the engine

_LOG = structlog.get_logger()
# While the broker is away aiokafka writes thousands of lines; what matters reaches our log as Unavailable.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
_FETCH_BYTES = 8 << 20
_PICK_BYTES = 64 << 10
"""For one record: what comes with it is thrown away."""
_REQUEST_BYTES = 16 << 20
_SEND_BYTES = 256 << 10
"""What goes to a partition at once. With the client's 16 KiB a whole domain's update takes thousands of rounds."""
_IN_FLIGHT = 4000
"""Records that may wait for their acknowledgement: each holds a future and metadata, several times its own size."""
_POLL_MS = 1000
_TOLD_ONCE = {Topic.UPDATES, Topic.REPORTS, Topic.REJECTED, Topic.CHECKPOINTS}
_BATCH = 2000
_WITHOUT_LEADER = (UnknownTopicOrPartitionError, NotLeaderForPartitionError, LeaderNotAvailableError)
_WRITE_SECONDS = 12.0
"""Without any record acknowledged: then a write is given up."""


@dataclass(frozen=True, slots=True)
class KafkaLog:
    """Every call opens its own client: few, long readers and writers. `security` are aiokafka's own settings.

    A read is given up after `patience` seconds in which nothing came: longer than the client waits for one answer.
    """

    brokers: str
    prefix: str = "penstock"
    security: Mapping[str, Any] = field(default_factory=dict)
    patience: float = 20.0
    signer: Signer | None = field(default=None, repr=False)
    """Signs what is written into penstock.changes."""
    trust: EngineSettings | None = field(default=None, repr=False)
    """See `Log.trust`."""

    async def create_topics(self, domains: int = 1) -> None:
        """Create what is missing; raises TopicMissing when a topic is there but not as it must be, or Unavailable."""
        async with self._admin() as admin:
            await create(admin, topic_specs(domains, self.prefix), self.brokers)

    async def check_topics(self, domains: int = 1) -> None:
        """Look at the topics that are there; raises as `create_topics`: a limit may be set at any time."""
        async with self._admin() as admin:
            await check(admin, topic_specs(domains, self.prefix), self.brokers)

    async def ends(self, topic: Topic, partition: int) -> tuple[int, int]:
        """See `Log.ends`. Raises TopicMissing or Unavailable."""
        async with self._consumer(topic, partition) as (consumer, at):
            return await self._bounds(consumer, at, topic)

    async def since(self, topic: Topic, partition: int, millis: int) -> int:
        """See `Log.since`. Raises TopicMissing or Unavailable."""
        async with self._consumer(topic, partition) as (consumer, at):
            _, end = await self._bounds(consumer, at, topic)
            try:
                found = (await consumer.offsets_for_times({at: millis}))[at]
            except KafkaError as error:
                raise self._unavailable(error) from error
            return end if found is None else min(end, found.offset)

    async def written(self, topic: Topic, partition: int) -> int:
        """The offset after the last record, of transactions that are not committed too. Raises as `ends`."""
        async with self._consumer(topic, partition, "read_uncommitted") as (consumer, at):
            return (await self._bounds(consumer, at, topic))[1]

    async def read(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        """See `Log.read`. Raises TopicMissing or Unavailable."""
        async with self._consumer(topic, partition) as (consumer, at):
            first, end = await self._bounds(consumer, at, topic)
            consumer.seek(at, max(start, first))
            clock, before = asyncio.get_running_loop().time, -1
            # The position, not the number of records: transaction markers and compaction leave holes.
            while (position := await consumer.position(at)) < end:
                if position > before:
                    before, deadline = position, clock() + self.patience
                if clock() > deadline:
                    msg = f"Kafka at {self.brokers} does not answer (no record for {self.patience:.0f} s)"
                    raise Unavailable(msg)
                try:
                    batch = await self._batch(consumer, at, topic)
                except KafkaError as error:
                    raise self._unavailable(error) from error
                if records := batch.get(at):
                    yield [_record(topic, one) for one in records]

    async def pick(self, topic: Topic, partition: int, offsets: Iterable[int]) -> AsyncGenerator[Record]:
        """See `Log.pick`. Raises TopicMissing or Unavailable."""
        async with self._consumer(topic, partition, fetch=_PICK_BYTES) as (consumer, at):
            first, end = await self._bounds(consumer, at, topic)
            for offset in offsets:
                if not first <= offset < end:
                    continue
                consumer.seek(at, offset)
                try:
                    async with asyncio.timeout(self.patience):
                        found = await consumer.getone(at)
                except (KafkaError, TimeoutError) as error:
                    raise self._unavailable(error) from error
                if found.offset == offset:
                    yield _record(topic, found)

    async def follow(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        """See `Log.follow`. Raises TopicMissing, LogError when what comes next is not kept, or Unavailable at first."""
        async with self._consumer(topic, partition) as (consumer, at):
            first, _ = await self._bounds(consumer, at, topic)
            consumer.seek(at, max(start, first))
            while True:
                try:
                    batch = await self._batch(consumer, at, topic)
                except OffsetOutOfRangeError as error:
                    msg = f"{self._name(topic)} has not what comes next: an older copy, or retention took it"
                    raise LogError(msg) from error
                except KafkaError as error:
                    _LOG.debug("waiting for the broker", error=str(error))
                    await asyncio.sleep(0.2)
                    continue
                if records := batch.get(at):
                    yield [_record(topic, one) for one in records]

    @asynccontextmanager
    async def writer(self, transactional_id: str, seconds: float = TRANSACTION_SECONDS) -> AsyncIterator[Writer]:
        """See `Log.writer`. Raises Unavailable."""
        producer = self._producer(
            transactional_id=f"{self.prefix}-{transactional_id}", transaction_timeout_ms=int(seconds * 1000)
        )
        async with self._started(producer, _KafkaWriter(producer, self)) as writer:
            yield writer

    @asynccontextmanager
    async def appender(self) -> AsyncIterator[Writer]:
        """See `Log.appender`. Raises Unavailable."""
        producer = self._producer()
        async with self._started(producer, _KafkaAppender(producer, self)) as writer:
            yield writer

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.brokers, request_timeout_ms=10_000, **self.security)
        try:
            await admin.start()
            yield admin
        except (KafkaError, OSError) as error:
            raise self._unavailable(error) from error
        finally:
            await admin.close()

    def _producer(self, **transactional: Any) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self.brokers,
            request_timeout_ms=8_000,
            retry_backoff_ms=10,
            linger_ms=0,
            acks="all",
            compression_type="zstd",
            max_request_size=_REQUEST_BYTES,
            max_batch_size=_SEND_BYTES,
            **transactional,
            **self.security,
        )

    @asynccontextmanager
    async def _started(self, producer: AIOKafkaProducer, writer: _KafkaWriter) -> AsyncIterator[Writer]:
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise self._unavailable(error) from error
        try:
            yield writer
        finally:
            await stop_producer(producer, writer.stuck)

    @asynccontextmanager
    async def _consumer(
        self, topic: Topic, partition: int, isolation: str = "read_committed", fetch: int = _FETCH_BYTES
    ) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
        at = TopicPartition(self._name(topic), partition)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.brokers,
            isolation_level=isolation,
            enable_auto_commit=False,
            auto_offset_reset="none",
            retry_backoff_ms=20,
            request_timeout_ms=15_000,
            fetch_max_bytes=fetch * 4,
            max_partition_fetch_bytes=fetch,
            **self.security,
        )
        try:
            await consumer.start()
            # Asked first: for a topic that is not there the client would fill the log with warnings for 15 s.
            await self._check_known(consumer, at, topic)
        except (KafkaError, OSError) as error:
            await stop_consumer(consumer)
            raise self._unavailable(error) from error
        except BaseException:
            # Who is cancelled here has opened connections, too.
            await stop_consumer(consumer)
            raise
        try:
            consumer.assign([at])
            yield consumer, at
        finally:
            await stop_consumer(consumer)

    async def _batch(self, consumer: AIOKafkaConsumer, at: TopicPartition, topic: Topic) -> dict[Any, list[Any]]:
        """What comes within a second. Raises TopicMissing and the client's errors.

        Of a topic that was deleted the client itself says nothing, and asks for it 70 times a second (measured).
        """
        batch: dict[Any, list[Any]] = await consumer.getmany(at, timeout_ms=_POLL_MS, max_records=_BATCH)
        if not batch and at.partition not in (consumer._client.cluster.partitions_for_topic(at.topic) or ()):  # noqa: SLF001
            await self._check_known(consumer, at, topic)
        return batch

    async def _check_known(self, consumer: AIOKafkaConsumer, at: TopicPartition, topic: Topic) -> None:
        """Raises TopicMissing and the client's errors."""
        cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001  its public face hides partitions
        if at.partition not in (cluster.partitions_for_topic(at.topic) or ()):
            raise _missing(topic, f"{at.topic}/{at.partition}")

    async def _bounds(self, consumer: AIOKafkaConsumer, at: TopicPartition, topic: Topic) -> tuple[int, int]:
        asked = asyncio.ensure_future(_ends(consumer, at))
        try:
            while not (await asyncio.wait({asked}, timeout=_POLL_MS / 1000))[0]:
                # For a topic deleted meanwhile the client asks on, and says in the end only that nobody answered.
                with suppress(KafkaError):
                    await self._check_known(consumer, at, topic)
            return asked.result()
        except (KafkaError, ValueError) as error:
            raise self._unavailable(error) from error
        finally:
            await end_task(asked)

    async def _lost(self, topics: Iterable[Topic]) -> LogError:
        """Which of the topics has gone."""
        for topic in sorted(topics):
            try:
                await self.ends(topic, 0)
            except LogError as error:
                return error
        return Unavailable(f"Kafka at {self.brokers} did not take a transaction")

    def _name(self, topic: Topic) -> str:
        return topic_name(topic, self.prefix)

    def _unavailable(self, error: Exception) -> LogError:
        if isinstance(error, MessageSizeTooLargeError):
            return LogError(f"a record is larger than Kafka takes: raise max.message.bytes of its topic ({error})")
        # That the client could not connect says no more than that nobody answered.
        more = "" if isinstance(error, KafkaConnectionError) else f" ({type(error).__name__}: {error})"
        return Unavailable(f"Kafka at {self.brokers} does not answer{more}")


@dataclass(slots=True)
class _Flight:
    """A transaction under way: the topics it writes to, what was not acknowledged yet, the offsets of what was."""

    names: dict[Topic, str] = field(default_factory=dict)
    flying: deque[asyncio.Future[Any]] = field(default_factory=deque)
    offsets: list[int] = field(default_factory=list)


class _KafkaWriter:
    def __init__(self, producer: AIOKafkaProducer, log: KafkaLog) -> None:
        self._producer = producer
        self._log = log
        self.stuck: asyncio.Task[list[int]] | None = None
        """A write that was given up: with it the producer is lost."""

    async def write(self, records: Iterable[Outgoing]) -> list[int]:
        """See `Writer.write`."""
        coming = iter(records)
        first = next(coming, None)
        if first is None:
            return []
        flight = _Flight()
        task = asyncio.create_task(self._written(chain((first,), coming), flight), name="kafka-write")
        await self._wait(task, flight)
        if not task.done():
            raise await self._log._lost(flight.names)  # noqa: SLF001
        try:
            return task.result()
        except ProducerFenced as error:
            msg = f"another writer took over, or the transaction timed out: {error}"
            raise Fenced(msg) from error
        except _WITHOUT_LEADER as error:
            # Of a topic that was deleted the client may say first that nobody leads it, and drop all that waits.
            raise await self._log._lost(flight.names) from error  # noqa: SLF001
        except (KafkaError, IllegalOperation, AssertionError, OSError) as error:
            # Fenced between two sends, the client says only that it is in no transaction.
            transactions = self._producer._txn_manager  # noqa: SLF001
            if transactions is not None and transactions.is_fatal_error():
                msg = f"another writer took over, or the transaction timed out: {error!r}"
                raise Fenced(msg) from error
            raise self._log._unavailable(error) from error  # noqa: SLF001

    async def _wait(self, task: asyncio.Task[list[int]], flight: _Flight) -> None:
        """Wait as long as records are acknowledged: a whole domain's update may take many seconds."""
        before = -1
        try:
            while not task.done() and len(flight.offsets) > before:
                before = len(flight.offsets)
                await asyncio.wait({task}, timeout=_WRITE_SECONDS)
        finally:
            if not task.done():
                # For a topic that was deleted the client waits for ever, and ending its transaction does too.
                self.stuck = task

    async def _written(self, records: Iterable[Outgoing], flight: _Flight) -> list[int]:
        try:
            async with self._producer.transaction():
                return await self._sent(records, flight)
        finally:
            _look_at([*flight.flying, self._producer._txn_manager.wait_for_transaction_end()])  # noqa: SLF001

    async def _sent(self, records: Iterable[Outgoing], flight: _Flight) -> list[int]:
        flying = flight.flying
        signer = self._log.signer
        for one in records if signer is None else map(signer.signed, records):
            name = flight.names.setdefault(one.topic, self._log._name(one.topic))  # noqa: SLF001
            headers = list(one.headers)
            flying.append(await self._producer.send(name, one.value, one.key, one.partition, headers=headers))
            while flying and (len(flying) > _IN_FLIGHT or flying[0].done()):
                flight.offsets.append((await flying.popleft()).offset)
        while flying:
            flight.offsets.append((await flying.popleft()).offset)
        return flight.offsets


class _KafkaAppender(_KafkaWriter):
    async def _written(self, records: Iterable[Outgoing], flight: _Flight) -> list[int]:
        try:
            return await self._sent(records, flight)
        finally:
            _look_at(flight.flying)


async def _ends(consumer: AIOKafkaConsumer, at: TopicPartition) -> tuple[int, int]:
    first = await consumer.beginning_offsets([at])
    last = await consumer.end_offsets([at])
    return first[at], last[at]


def _look_at(answers: Iterable[asyncio.Future[Any]]) -> None:
    """Or asyncio complains of each record that a fenced producer failed."""
    for answer in answers:
        if answer.done() and not answer.cancelled():
            answer.exception()


def _missing(topic: Topic, name: str) -> TopicMissing:
    if topic is Topic.CHANGES:
        return TopicMissing(f"{name} does not exist on the broker: the log is gone. {BEGIN_ANEW}")
    then = ": what it told is gone, it tells what comes" if topic in _TOLD_ONCE else " and fills it from the log"
    again = f"restore it, or start penstock again, which makes it anew{then}"
    return TopicMissing(f"{name} does not exist on the broker: {again}; what is served stays")


def _record(topic: Topic, one: Any) -> Record:
    return Record(topic, one.partition, one.offset, one.key, one.value, tuple(one.headers), one.timestamp)
