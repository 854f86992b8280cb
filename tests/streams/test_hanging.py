"""A transaction without its end keeps everybody from what comes behind it: it is ended, and nothing is written else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer

from streams.codec import decode_change_set, encode_change_set
from streams.hanging import mend, writers
from streams.kafka import KafkaLog
from streams.topics import OUTPUTS, Topic, key, topic_name
from streams.view import read_table
from tests.streams.toy import append, change_set, kafka_log, put, records

pytestmark = pytest.mark.kafka
FOUND = writers("default", ["test"])


@pytest.fixture
async def log(broker: str) -> AsyncIterator[KafkaLog]:
    async with kafka_log(broker) as found:
        yield found


@asynccontextmanager
async def transaction(log: KafkaLog, name: str) -> AsyncIterator[AIOKafkaProducer]:
    """It is left as a writer that is killed leaves it, and would be given up after ten minutes, unless it is committed.

    The client's own end of it waits for ever where somebody else has fenced it meanwhile.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=log.brokers, transactional_id=f"{log.prefix}-{name}", transaction_timeout_ms=600_000
    )
    await producer.start()
    await producer.begin_transaction()
    try:
        yield producer
    finally:
        await producer._sender.close()
        await producer.client.close()


async def left_open(log: KafkaLog, name: str, *topics: Topic) -> None:
    async with transaction(log, name) as producer:
        for topic in topics:
            await producer.send_and_wait(topic_name(topic, log.prefix), b"never", b"k", partition=0)


async def test_where_nothing_hangs_nothing_is_written_and_nobody_fenced(log: KafkaLog) -> None:
    async with log.writer("source-default-test") as writer:
        await writer.write(encode_change_set(change_set(put("a", 1))))
        # The first waits for the markers, which come a little behind what a writer is answered.
        assert await mend(log, FOUND, "default", 0) == set()
        before = [await log.written(topic, 0) for topic in Topic]
        assert await mend(log, FOUND, "default", 0) == set()
        assert [await log.written(topic, 0) for topic in Topic] == before
        await writer.write(encode_change_set(change_set(put("a", 2))))


@pytest.mark.parametrize("name", ["source-default-test", "clock-default", "publisher-default"])
async def test_the_log_can_be_read_again(log: KafkaLog, name: str) -> None:
    await append(log, change_set(put("a", 1)), source="other")
    await left_open(log, name, Topic.CHANGES)
    await append(log, change_set(put("a", 2)), source="other")
    assert [len(batch) async for batch in log.read(Topic.CHANGES, 0)] == [1]
    assert await mend(log, FOUND, "default", 0, patience=0.5) == {Topic.CHANGES}
    changes = [decode_change_set(one).changes for one in await records(log, Topic.CHANGES)]
    assert [one for one in changes if one] == [(put("a", 1),), (put("a", 2),)]
    assert await log.written(Topic.CHANGES, 0) == (await log.ends(Topic.CHANGES, 0))[1]


@pytest.mark.parametrize(
    ("name", "topics"),
    [
        ("resolver-default", (*OUTPUTS, Topic.REJECTED)),
        ("convergence-default", (Topic.CONVERGENCE,)),
    ],
)
async def test_so_can_what_is_derived_from_it_and_it_says_nothing_new(
    log: KafkaLog, name: str, topics: tuple[Topic, ...]
) -> None:
    await left_open(log, name, *topics)
    assert await mend(log, FOUND, "default", 0, patience=0.5) == set(topics)
    for topic in topics:
        assert await log.written(topic, 0) == (await log.ends(topic, 0))[1]
        assert (await read_table(log, topic, 0)).rows == {}
    assert await records(log, Topic.CHANGES) == []


async def test_a_transaction_that_takes_long_is_let_be(log: KafkaLog) -> None:
    """A whole domain's update takes a minute: one topic of it after the other grows, and none can be read yet."""
    sent = asyncio.Event()

    async def write() -> None:
        async with transaction(log, "resolver-default") as producer:
            for topic in [one for one in (Topic.STATE, Topic.GRAPH, Topic.STATUS) for _ in range(8)]:
                await producer.send_and_wait(topic_name(topic, log.prefix), b"{}", key("default", "row"), partition=0)
                sent.set()
                await asyncio.sleep(0.2)
            await producer.commit_transaction()

    task = asyncio.create_task(write())
    await sent.wait()
    assert await mend(log, FOUND, "default", 0, patience=2.0) == set()
    await task
    assert len(await records(log, Topic.STATUS)) == 8


async def test_others_that_write_keep_no_transaction_hanging(log: KafkaLog) -> None:
    await left_open(log, "source-default-test", Topic.CHANGES)

    async def write() -> None:
        while True:
            await append(log, change_set(put("a", 1)), source="other")
            await asyncio.sleep(0.1)

    task = asyncio.create_task(write())
    async with asyncio.timeout(240):
        assert await mend(log, FOUND, "default", 0, patience=1.0) == {Topic.CHANGES}
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
