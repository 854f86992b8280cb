"""Ends aiokafka's clients whatever state their broker left them in; it starts none, and reads and writes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError

_LOG = structlog.get_logger()
_END_SECONDS = 0.1


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, started or not.

    While the broker is away a plain stop raises the cancellation of the client's own fetch, which waits to be tried
    again: the task that stops it would end as if it were cancelled itself, and the connections would stay.
    """
    fetcher = consumer._fetcher  # noqa: SLF001
    if fetcher is not None:
        await end_task(fetcher._fetch_task)  # noqa: SLF001  it starts the others
        for task in tuple(fetcher._pending_tasks):  # noqa: SLF001
            await end_task(task)
        fetcher._pending_tasks.clear()  # noqa: SLF001
    await consumer.stop()


async def stop_producer(producer: AIOKafkaProducer, stuck: asyncio.Task[Any] | None) -> None:
    """Stop a producer; `stuck` is a write that was given up."""
    try:
        if stuck is None:
            await producer.stop()
            return
        # A plain stop waits for what was never sent, and the sender, cancelled, for each request that it tries again.
        for task in (producer._sender.sender_task, stuck):  # noqa: SLF001
            await end_task(task)
        await producer.client.close()
        producer._closed = True  # noqa: SLF001
    except (KafkaError, IllegalOperation, AssertionError, OSError) as error:
        _LOG.debug("the producer was already gone", error=str(error))


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it takes it: it waits for others when it is cancelled, one after another."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_END_SECONDS)
    if not task.cancelled():
        task.exception()
