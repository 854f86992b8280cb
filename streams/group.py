"""A plain aiokafka consumer group as a host: the second adapter of the port that faust is the first of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from streams.app import Membership
from streams.backoff import Backoff
from streams.clients import stop_consumer
from streams.host import Host
from streams.ports import Record, Unavailable
from streams.topics import Topic, topic_name

_FOR_EVER = 10**12


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, host: Host, consumer: AIOKafkaConsumer) -> None:
        self._host = host
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002
        await self._host.pause()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        # From the end as it is before the domain starts to catch up: what is older, the catch-up reads.
        for at, end in (await self._ends(assigned)).items():
            self._consumer.seek(at, end)
        await self._host.assigned({at.partition for at in assigned})

    async def _ends(self, assigned: set[TopicPartition]) -> dict[TopicPartition, int]:
        """Asked until the broker answers: the client would swallow an error, and the domain stay paused for ever."""
        backoff = Backoff()
        while assigned:
            try:
                return dict(await self._consumer.end_offsets(assigned))
            except KafkaError:
                await backoff.wait()
        return {}


@asynccontextmanager
async def group_host(membership: Membership, host: Host) -> AsyncIterator[Callable[[], bool]]:
    """As `streams.app.resolver_host`, without faust."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=membership.brokers,
        group_id=membership.group,
        group_instance_id=membership.member,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="latest",
        partition_assignment_strategy=[RoundRobinPartitionAssignor],
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
        rebalance_timeout_ms=10_000,
        # As in streams.app: only the group's word takes partitions away.
        max_poll_interval_ms=_FOR_EVER,
        retry_backoff_ms=20,
        max_partition_fetch_bytes=8 << 20,
        **membership.security,
    )
    consumer.subscribe([topic_name(Topic.CHANGES, membership.prefix)], listener=_Listener(host, consumer))
    try:
        await consumer.start()
    except (KafkaError, OSError) as error:
        await stop_consumer(consumer)
        msg = f"Kafka at {membership.brokers} does not answer ({type(error).__name__}: {error})"
        raise Unavailable(msg) from error
    task = asyncio.create_task(_deliver(consumer, host), name="group-deliver")
    try:
        yield task.done
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await host.stop()
        await stop_consumer(consumer)


async def _deliver(consumer: AIOKafkaConsumer, host: Host) -> None:
    while True:
        try:
            batches = await consumer.getmany(timeout_ms=1000, max_records=500)
        except KafkaError:
            await asyncio.sleep(0.2)
            continue
        for at, records in batches.items():
            for one in records:
                await host.deliver(
                    Record(
                        Topic.CHANGES, at.partition, one.offset, one.key, one.value, tuple(one.headers), one.timestamp
                    )
                )
