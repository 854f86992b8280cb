"""One behaviour suite for every log: the twin in memory and the real one on Kafka."""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.broker import Broker
from streams.kafka import KafkaLog
from streams.memory import MemoryLog
from streams.ports import Fenced, Log, LogError, Outgoing, TopicMissing, Unavailable
from streams.topics import Topic, topic_name
from streams.view import follow_table, read_table
from tests.streams.test_domain import resolved
from tests.streams.toy import append, change_set, kafka_log, marked, put, records, until, write_once_taken


def one(value: bytes | None, key: bytes = b"k", topic: Topic = Topic.CHANGES) -> Outgoing:
    return Outgoing(topic, 0, key, value, (("h", b"\x00\xff"), ("h", b"2")))


async def test_what_is_written_is_read_back(log: Log) -> None:
    async with log.writer("w") as writer:
        offsets = await writer.write([one(b"\x00a"), one(None), one(b"b" * (3 << 20))])
    found = await records(log, Topic.CHANGES)
    assert [(row.offset, row.key, row.value) for row in found] == [
        (offsets[0], b"k", b"\x00a"),
        (offsets[1], b"k", None),
        (offsets[2], b"k", b"b" * (3 << 20)),
    ]
    assert found[0].headers == (("h", b"\x00\xff"), ("h", b"2"))


async def test_what_is_appended_is_read_in_its_order_and_fences_nobody(log: Log) -> None:
    """Two publishers report beside one another."""
    async with log.appender() as first, log.appender() as second:
        assert await first.write([]) == []
        for number in range(3):
            for writer in (first, second):
                await writer.write([one(b"%d" % number, topic=Topic.REPORTS), one(b"end", topic=Topic.REPORTS)])
    found = await records(log, Topic.REPORTS)
    assert [row.value for row in found] == [b"0", b"end"] * 2 + [b"1", b"end"] * 2 + [b"2", b"end"] * 2
    assert [row.offset for row in found] == list(range(12)), "no marker between"


async def test_ends_begin_at_zero_and_lie_behind_every_record(log: Log) -> None:
    assert await log.ends(Topic.CHANGES, 0) == (0, 0)
    async with log.writer("w") as writer:
        offsets = await writer.write([one(b"a"), one(b"b")])
        assert await writer.write([]) == []
    await marked(log, Topic.CHANGES)
    first, end = await log.ends(Topic.CHANGES, 0)
    # The marker of the transaction takes an offset too, on the twin as well: nobody may count on neighbours.
    assert (first, end) == (0, offsets[-1] + 2)


async def test_reading_starts_where_it_is_told(log: Log) -> None:
    async with log.writer("w") as writer:
        offsets = [(await writer.write([one(b"%d" % number)]))[0] for number in range(3)]
    await marked(log, Topic.CHANGES)
    found = [row.value async for batch in log.read(Topic.CHANGES, 0, offsets[1]) for row in batch]
    assert found == [b"1", b"2"]
    assert [batch async for batch in log.read(Topic.CHANGES, 0, offsets[2] + 1)] == []
    assert [batch async for batch in log.read(Topic.CHANGES, 0, offsets[2] + 100)] == []


async def test_a_second_writer_fences_the_first(log: Log) -> None:
    # Several times: the client learns of it at one of several moments of the transaction.
    for number in range(8):
        async with log.writer(f"w{number}") as first:
            await first.write([one(b"before")])
            async with log.writer("other") as other, log.writer(f"w{number}") as second:
                with pytest.raises(Fenced):
                    await first.write([one(b"zombie"), one(b"zombie", topic=Topic.XDS)])
                with pytest.raises(Fenced):  # and for ever
                    await first.write([one(b"zombie")])
                await second.write([one(b"after")])
                await other.write([one(b"other")])
    assert [row.value for row in await records(log, Topic.CHANGES)] == [b"before", b"after", b"other"] * 8
    assert await records(log, Topic.XDS) == []


async def test_a_transaction_spans_topics(log: Log) -> None:
    async with log.writer("w") as writer:
        await writer.write([one(b"a"), one(b"b", topic=Topic.XDS), one(b"c", topic=Topic.STATE)])
    assert [len(await records(log, topic)) for topic in (Topic.CHANGES, Topic.XDS, Topic.STATE)] == [1, 1, 1]


async def test_following_sees_what_was_and_what_comes(log: Log) -> None:
    seen: list[bytes | None] = []

    async def follow() -> None:
        async for batch in log.follow(Topic.CHANGES, 0):
            seen.extend(row.value for row in batch)

    async with log.writer("w") as writer, asyncio.TaskGroup() as tasks:
        await writer.write([one(b"old")])
        task = tasks.create_task(follow())
        for number in range(3):
            await writer.write([one(b"%d" % number)])
        async with asyncio.timeout(240):
            while len(seen) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        task.cancel()
    assert seen == [b"old", b"0", b"1", b"2"]


async def test_many_records_come_in_batches_and_in_order(log: Log) -> None:
    async with log.writer("w") as writer:
        await writer.write([one(b"%d" % number) for number in range(2500)])
    await marked(log, Topic.CHANGES)
    batches = [len(batch) async for batch in log.read(Topic.CHANGES, 0)]
    assert sum(batches) == 2500
    assert [row.value for row in await records(log, Topic.CHANGES)] == [b"%d" % number for number in range(2500)]


async def test_memory_is_unavailable_while_down_and_followers_go_on_afterwards() -> None:
    log = MemoryLog()
    async with log.writer("w") as writer:
        await writer.write([one(b"a")])
        log.down = True
        for work in (writer.write([one(b"lost")]), log.ends(Topic.CHANGES, 0), records(log, Topic.CHANGES)):
            with pytest.raises(Unavailable):
                await work
        following = log.follow(Topic.CHANGES, 0)
        waiting = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        assert not waiting.done()
        await log.resume()
        assert [row.value for row in await waiting] == [b"a"]


@pytest.mark.kafka
async def test_a_cancelled_transaction_is_never_seen(broker: str) -> None:
    async with kafka_log(broker) as log:
        async with log.writer("w") as writer:
            await writer.write([one(b"a")])
            task = asyncio.ensure_future(writer.write([one(b"%d" % number) for number in range(5000)]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with log.writer("w") as writer:
            await writer.write([one(b"b")])
        assert [row.value for row in await records(log, Topic.CHANGES)] == [b"a", b"b"]


@pytest.mark.kafka
async def test_topics_are_as_they_must_be_or_it_says_so(broker: str) -> None:
    async with kafka_log(broker) as log:
        await log.create_topics(1)  # a second time changes nothing
        with pytest.raises(TopicMissing, match="has 1 partitions, needs 3"):
            await log.create_topics(3)
        with pytest.raises(TopicMissing, match=r"changes/7 does not exist"):
            await log.ends(Topic.CHANGES, 7)
        other = KafkaLog(broker, log.prefix + "x")
        with pytest.raises(TopicMissing, match=r"does not exist on the broker: the log is gone\. Bring back"):
            await records(other, Topic.CHANGES)


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("topic", "config", "said"),
    [
        (Topic.CHANGES, {"cleanup.policy": "compact"}, "cleanup.policy=compact, retention.ms=604800000"),
        (Topic.STATE, {"cleanup.policy": "delete"}, "cleanup.policy=delete"),
        (Topic.CHANGES, {"retention.ms": "604800000"}, "retention.ms=604800000"),
        (Topic.UPDATES, {"retention.ms": "-1", "retention.bytes": "1000000"}, "retention.bytes=1000000"),
        (Topic.REJECTED, {"retention.ms": "1000", "retention.bytes": "1"}, "retention.ms=1000, retention.bytes=1"),
        (Topic.CHANGES, {"retention.ms": "-1"}, None),
        (Topic.REPORTS, {"retention.ms": "3600000", "retention.bytes": "1000000"}, None),
        (Topic.STATE, {"cleanup.policy": "compact", "retention.ms": "1000", "segment.ms": "60000"}, None),
    ],
)
async def test_a_topic_that_would_lose_history_is_refused(
    broker: str, topic: Topic, config: dict[str, str], said: str | None
) -> None:
    log = KafkaLog(broker, f"t{uuid.uuid4().hex[:8]}")
    name = topic_name(topic, log.prefix)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"retention.ms": "604800000"} | config)])
    try:
        if said is None:
            await log.create_topics(1)
            return
        with pytest.raises(TopicMissing) as caught:
            await log.create_topics(1)
        words, command = str(caught.value).split(": history would be lost. Set it: ")
        # What it says to do is all that is needed.
        (wanted,) = re.findall(rf"^kafka-configs.sh .* {broker} .* --entity-name {name} --add-config (\S+)$", command)
        assert words == f"{name} has {said}, needs {wanted}"
        change = dict(one.split("=") for one in wanted.split(","))
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, change)])
        await until(lambda: _is_taken(log))
    finally:
        await admin.close()


async def _is_taken(log: KafkaLog) -> bool:
    """A change of a topic takes a moment to be known."""
    try:
        await log.create_topics(1)
    except TopicMissing:
        return False
    return True


async def test_a_broker_that_is_not_there_is_named() -> None:
    log = KafkaLog("127.0.0.1:1")
    for work in (log.create_topics(), log.ends(Topic.CHANGES, 0), records(log, Topic.CHANGES)):
        with pytest.raises(Unavailable, match=r"127.0.0.1:1 does not answer"):
            await work
    with pytest.raises(Unavailable):
        async with log.writer("w"):
            pass


@pytest.mark.kafka
async def test_a_record_too_large_for_kafka_is_no_outage(broker: str) -> None:
    async with kafka_log(broker) as log, log.writer("w") as writer:
        with pytest.raises(LogError, match="larger than Kafka takes") as caught:
            await writer.write([one(os.urandom(17 << 20))])
        assert not isinstance(caught.value, Unavailable)


@pytest.mark.kafka
async def test_a_topic_that_is_deleted_below_a_writer_is_named_and_the_writer_ends(broker: str) -> None:
    async with kafka_log(broker) as log:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        async with asyncio.timeout(240), log.writer("w") as writer:
            await writer.write([one(b"a", topic=Topic.XDS), one(b"a", topic=Topic.STATE)])
            await admin.delete_topics([topic_name(Topic.XDS, log.prefix)])
            with pytest.raises(TopicMissing, match=r"xds/0 does not exist on the broker: restore it, or start penstock"):
                while True:  # a broker may answer that a topic is deleted, and take one more record for it
                    await writer.write([one(b"b", topic=Topic.XDS)])
        await admin.close()
        async with asyncio.timeout(240), log.writer("w") as writer:
            await writer.write([one(b"c", topic=Topic.STATE)])
        assert [row.value for row in await records(log, Topic.STATE)] == [b"a", b"c"]


@pytest.mark.kafka
async def test_a_topic_that_is_deleted_below_a_follower_is_named(broker: str) -> None:
    """The client would ask for it for ever, 70 times a second, and say nothing."""
    async with kafka_log(broker) as log:
        async with log.writer("w") as writer:
            await writer.write([one(b"a", topic=Topic.XDS)])
        following = log.follow(Topic.XDS, 0)
        assert [row.value for row in await anext(following)] == [b"a"]
        await _delete(log, Topic.XDS)
        async with asyncio.timeout(240):
            with pytest.raises(TopicMissing, match=r"xds/0 does not exist on the broker: restore it, or start penstock"):
                await anext(following)


@pytest.mark.kafka
@pytest.mark.parametrize("moment", ["beginning_offsets", "end_offsets"])
async def test_a_topic_that_is_deleted_while_its_ends_are_asked_is_named(
    broker: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client would ask on, and say in the end only that nobody answered."""
    asked = getattr(AIOKafkaConsumer, moment)
    async with kafka_log(broker) as log:

        async def late(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
            await _delete(log, Topic.XDS)
            while True:  # The broker may answer for it for a moment.
                await asked(consumer, partitions)

        monkeypatch.setattr(AIOKafkaConsumer, moment, late)
        with pytest.raises(TopicMissing, match="xds/0 does not exist on the broker"):
            await log.ends(Topic.XDS, 0)


async def _delete(log: KafkaLog, topic: Topic) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=log.brokers)
    await admin.start()
    await admin.delete_topics([topic_name(topic, log.prefix)])
    await admin.close()


async def _followed(log: Log, topic: Topic, last: bytes) -> list[bytes | None]:
    """The values that come, up to the last one; each once."""
    found: list[bytes | None] = []
    async for batch in log.follow(topic, 0):
        found += [row.value for row in batch]
        if last in found:
            break
    return list(dict.fromkeys(found))


@pytest.mark.kafka
async def test_a_follower_goes_on_after_its_broker_was_away(tmp_path: Path) -> None:
    node = Broker(tmp_path)
    log = KafkaLog(await node.start())
    try:
        await log.create_topics(1)
        async with asyncio.timeout(300), asyncio.TaskGroup() as tasks:
            followed = tasks.create_task(_followed(log, Topic.CHANGES, b"b"))
            for value in (b"a", b"b"):
                await write_once_taken(log, one(value))
                await node.stop()
                await asyncio.wait({followed}, timeout=3)
                await node.start()
        assert followed.result() == [b"a", b"b"]
    finally:
        await node.stop()


@pytest.mark.kafka
async def test_a_writer_whose_broker_goes_away_ends(tmp_path: Path) -> None:
    node = Broker(tmp_path)
    log = KafkaLog(await node.start())
    try:
        await log.create_topics(1)
        await write_once_taken(log, one(b"a"))
        async with asyncio.timeout(240):
            async with log.writer("w") as writer:
                await writer.write([one(b"b")])
                await node.stop()
                with pytest.raises(Unavailable, match="does not answer"):
                    await writer.write([one(b"c")])
        assert [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
        await node.start()
        await write_once_taken(log, one(b"d"))
        assert list(dict.fromkeys(row.value for row in await records(log, Topic.CHANGES))) == [b"a", b"b", b"d"]
    finally:
        await node.stop()


@pytest.mark.kafka
async def test_followers_whose_broker_is_away_can_be_left(tmp_path: Path) -> None:
    """The client passes on the cancellation of its own fetch: the task that leaves would end as if it were cancelled."""
    node = Broker(tmp_path)
    log = KafkaLog(await node.start())
    try:
        await log.create_topics(1)
        await write_once_taken(log, one(b"a"))
        followers = [log.follow(Topic.CHANGES, 0) for _ in range(20)]
        for follower in followers:
            assert {row.value for row in await anext(follower)} == {b"a"}
        await node.stop()
        for follower in followers:
            await follower.aclose()  # type: ignore[attr-defined]
        assert [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    finally:
        await node.stop()


async def test_a_table_that_is_followed_is_read_once_as_long_as_nothing_is_missing(log: Log) -> None:
    """Markers of transactions, batches of updates and a new owner leave no holes that look like a loss."""
    changes = [change_set(put(str(number), number)) for number in range(4)]
    await append(log, changes[0])
    await resolved(log)
    batches = follow_table(log, Topic.XDS, 0)
    found = [await anext(batches)]
    try:
        for change in changes[1:]:
            await append(log, change, change_set(put("often", change.id)))
            await resolved(log)
            last = (await read_table(log, Topic.XDS, 0)).progress
            async with asyncio.timeout(240):
                while found[-1].progress < last:
                    found.append(await anext(batches))
    finally:
        await batches.aclose()  # type: ignore[attr-defined]
    assert [batch.snapshot for batch in found] == [True] + [False] * (len(found) - 1)
