"""faust as a host: membership, delivery and hand-over for the resolver, tables for projections.

The only file that imports faust; none of its types leaves. What it must never do: let an exception out of an agent
(faust would acknowledge and skip that record) or read what is not committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import faust
import structlog
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.transport.producer import ProducerBuffer

from streams.backoff import Backoff
from streams.host import Host
from streams.ports import LogError, Record, Unavailable
from streams.topics import Topic, topic_name

_LOG = structlog.get_logger()
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.1
_FOR_EVER = 1e9
"""Seconds. Who has no partition fetches nothing, which the client takes for a process that hangs: after this time it
leaves the group without a word, and does not come back before something is fetched, which is never. With 60 a replica
that had stood by for 65 s did not take over from one that was killed, without end; with this it does after 6.7 s."""
_AGAIN = 10_000
"""Records of a table's source that are joined once more after a hand-over."""
# They repeat what reaches our log as Unavailable or as a crash, thousands of lines while the broker is away.
logging.getLogger("faust").setLevel(logging.CRITICAL)
logging.getLogger("mode").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Membership:
    """How this process joins: `member` keeps its partitions over a restart; `directory` is faust's own.

    `security` are aiokafka's settings, as in `KafkaLog`.
    """

    brokers: str
    group: str
    member: str
    directory: Path
    prefix: str = "penstock"
    partitions: int = 1
    security: Mapping[str, Any] = field(default_factory=dict)


_create = AIOKafkaConsumerThread._create_worker_consumer  # noqa: SLF001


def _read_committed(self: AIOKafkaConsumerThread, transport: Any) -> Any:
    # faust reads uncommitted records unless it is in its broken exactly-once mode, and has no setting for it:
    # aborted change sets would be applied (measured).
    consumer = _create(self, transport)
    consumer._isolation_level = "read_committed"  # noqa: SLF001
    return consumer


def _app(membership: Membership) -> faust.App:
    setattr(AIOKafkaConsumerThread, "_create_worker_consumer", _read_committed)  # noqa: B010
    # 100, the default, stalls a burst of sends for 0.1 s each time it is full (measured).
    ProducerBuffer.max_messages = 5000
    membership.directory.mkdir(parents=True, exist_ok=True)
    return faust.App(
        membership.group,
        broker=[f"kafka://{one}" for one in membership.brokers.split(",")],
        broker_credentials=_credentials(membership.security),
        datadir=str(membership.directory),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        key_serializer="raw",
        value_serializer="raw",
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=membership.member,
        stream_wait_empty=False,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        broker_rebalance_timeout=10.0,
        broker_request_timeout=10.0,
        broker_max_poll_interval=_FOR_EVER,
        broker_commit_interval=0.5,
    )


def _credentials(security: Mapping[str, Any]) -> Any:
    context = security.get("ssl_context")
    if "sasl_mechanism" in security:
        return faust.SASLCredentials(
            username=security["sasl_plain_username"],
            password=security["sasl_plain_password"],
            mechanism=security["sasl_mechanism"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None


@asynccontextmanager
async def resolver_host(membership: Membership, host: Host) -> AsyncIterator[Callable[[], bool]]:
    """Deliver penstock.changes to `host` while inside; yields a question, whether the app has crashed.

    Raises Unavailable when the broker cannot be reached at the start.
    """
    app = _app(membership)
    changes = topic_name(Topic.CHANGES, membership.prefix)
    topic = app.topic(changes, key_type=bytes, value_type=bytes, partitions=membership.partitions)

    async def resolve(stream: Any) -> None:
        async for event in stream.events():
            await host.deliver(_record(Topic.CHANGES, event.message))

    app.agent(topic, name="resolve")(resolve)

    async def revoked(_app: Any, _revoked: Any, **_: Any) -> None:
        await host.pause()

    async def assigned(_app: Any, assigned: Any, **_: Any) -> None:
        await host.assigned({at.partition for at in assigned if at.topic == changes})

    app.on_partitions_revoked.connect(cast("Any", revoked))
    app.on_partitions_assigned.connect(cast("Any", assigned))
    async with _started(app, membership):
        try:
            yield lambda: _crashed(app)
        finally:
            # First the domains: stopping faust does not tell them that their partitions go.
            await host.stop()


class Joins(Protocol):
    """Rows of a table that only ever grow until one is removed: records come at least once, so a join is by maximum."""

    def joined(self, before: bytes | None, record: Record) -> bytes | None:
        """The row with one more record; one that it has already changes nothing. None when there is no row."""

    def greater(self, one: bytes | None, other: bytes | None) -> bytes | None:
        """Which of two states of a row came later."""

    def at(self, row: bytes) -> int:
        """Where the last record of a row stands in its topic; -1 when it does not say."""

    def seen(self, key: str) -> None:
        """Hears each key whose row may have changed."""


Read = Callable[[int], AsyncIterator[Sequence[Record]]]
"""The records of a table's source from an offset to its end, of our partition. Raises LogError."""


Forget = Callable[[int, Iterable[str]], None]
"""Removes rows of a partition, by their keys."""


@asynccontextmanager
async def maximum_table(
    membership: Membership, topics: tuple[Topic, Topic], joins: Joins, read: Read
) -> AsyncIterator[tuple[Mapping[str, bytes], Forget, Callable[[], bool]]]:
    """A table over the first topic that `joins` says how to join.

    Yields its rows by key, what removes some of them, and whether faust crashed.

    The second topic is its changelog, as compacted as the others: faust may not declare topics.
    """
    source, changelog = topics
    app = _app(membership)
    topic = app.topic(
        topic_name(source, membership.prefix), key_type=bytes, value_type=bytes, partitions=membership.partitions
    )
    rows = _Rows(_table(app, membership, source, changelog), joins)
    recovered = asyncio.Event()

    async def join(stream: Any) -> None:
        async for event in stream.events():
            rows.put(_record(source, event.message))

    async def recover(*_: Any) -> None:
        rows.recover()
        recovered.set()

    rows.table.on_recover(recover)
    app.agent(topic, name="join")(join)
    async with _started(app, membership):
        await recover()
        name = topic_name(source, membership.prefix)
        catching_up = asyncio.create_task(_catch_up(app, name, recovered, rows, read))
        try:
            yield rows.newest, rows.forget, lambda: _crashed(app) or catching_up.done()
        finally:
            catching_up.cancel()


@dataclass(slots=True)
class _Rows:
    """`newest` is ours beside faust's table.

    After a start faust plays its own newest writes into the table once more, and what is read then is older than what
    was written (seen in 2 of 3 restarts).
    """

    table: Any
    joins: Joins
    newest: dict[str, bytes] = field(default_factory=dict)

    def recover(self) -> None:
        """Take what the table has."""
        for key, value in dict(self.table).items():
            self._take(key, value)

    def put(self, record: Record) -> None:
        """Join a record."""
        if record.key is None or record.value is None:
            return
        before = self.joins.greater(self.newest.get(_text(record.key)), self.table.get(record.key))
        after = self.joins.joined(before, record)
        if after is not None and after != before:
            # As `table[key] = after`, which faust allows only in the midst of its own delivery.
            self.table.send_changelog(record.partition, record.key, after)
            self.table.data[record.key] = after
        self._take(record.key, after)

    def forget(self, partition: int, keys: Iterable[str]) -> None:
        """Remove rows of a partition. One that is delivered again, or of which more is heard, begins anew."""
        for key in keys:
            raw = key.encode()
            self.table.send_changelog(partition, raw, None)
            self.table.data.pop(raw, None)
            self.newest.pop(key, None)

    def end(self) -> int:
        """Behind the last record that is joined."""
        return max(map(self.joins.at, self.newest.values()), default=-1) + 1

    def _take(self, key: bytes, value: bytes | None) -> None:
        newest = self.joins.greater(self.newest.get(_text(key)), value)
        if newest is not None:
            self.newest[_text(key)] = newest
            self.joins.seen(_text(key))


async def _catch_up(app: faust.App, topic: str, recovered: asyncio.Event, rows: _Rows, read: Read) -> None:
    """After each hand-over join what faust let go of: of what is written then it may deliver nothing.

    Seen twice in some nine hand-overs. Records come twice then, which changes nothing; they begin before the end of
    what is joined: who was killed may have joined a later one and not an earlier one.
    """
    backoff = Backoff()
    while True:
        await recovered.wait()
        recovered.clear()
        while app.rebalancing:  # noqa: ASYNC110  the host has no event to wait for
            await asyncio.sleep(_POLL_SECONDS)
        if all(at.topic != topic for at in app.consumer.assignment()):
            continue
        try:
            async for records in read(max(rows.end() - _AGAIN, 0)):
                for one in records:
                    rows.put(one)
        except LogError as error:
            _LOG.debug("what was missed waits for the log", reason=str(error))
            recovered.set()
            await backoff.wait()
        else:
            backoff.reset()


def _table(app: faust.App, membership: Membership, source: Topic, changelog: Topic) -> Any:
    log = app.topic(
        topic_name(changelog, membership.prefix),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=membership.partitions,
        compacting=True,
        internal=True,
    )
    # recovery_buffer_size: with the default of 1000 the last records of a recovery are held back (measured).
    return app.Table(
        f"{membership.group}-{source.value}",
        partitions=membership.partitions,
        recovery_buffer_size=1,
        key_type=bytes,
        value_type=bytes,
        changelog_topic=log,
    )


@asynccontextmanager
async def _started(app: faust.App, membership: Membership) -> AsyncIterator[None]:
    app.finalize()
    try:
        await app.start()
    except Exception as error:
        await app.stop()
        msg = f"Kafka at {membership.brokers} does not answer ({type(error).__name__}: {error})"
        raise Unavailable(msg) from error
    try:
        yield
    finally:
        # A stop that hangs must not hold up the end of the process, nor lose a cancellation that comes as it ends.
        async with asyncio.timeout(_STOP_SECONDS):
            await app.stop()


def _crashed(app: faust.App) -> bool:
    if app.crashed:
        _LOG.error("faust crashed", reason=repr(app.crash_reason))
    return bool(app.crashed)


def _text(key: bytes) -> str:
    return key.decode(errors="replace")


def _record(topic: Topic, message: Any) -> Record:
    headers = message.headers or ()
    pairs = tuple(headers.items()) if isinstance(headers, Mapping) else tuple(headers)
    millis = int((message.timestamp or 0) * 1000)
    return Record(topic, message.partition, message.offset, message.key, message.value, pairs, millis)
