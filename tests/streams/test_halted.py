"""A log whose broker stands still in the middle of a read: one behaviour for the twin and the real one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.broker import Broker
from streams.kafka import KafkaLog
from streams.memory import MemoryLog
from streams.ports import Log, Outgoing, Unavailable
from streams.topics import Topic
from tests.streams.toy import marked, records

PATIENCE = 10.0
HALT = 2.2
HALTS = 5


def record(value: bytes) -> Outgoing:
    return Outgoing(Topic.CHANGES, 0, b"k", value)


@dataclass
class Halting:
    """A log whose broker can stand still in the middle of a read of `records`, which are more than are at hand."""

    log: Log
    records: list[Outgoing]
    halt: Callable[[], None]
    resume: Callable[[], None]

    async def fill(self) -> None:
        """Write the records, and wait until they can be read."""
        async with self.log.writer("w") as writer:
            await writer.write(self.records)
        await marked(self.log, Topic.CHANGES)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def halting(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Halting]:
    if request.param == "memory":
        log = MemoryLog()
        yield Halting(log, [record(b"a")] * 2000, lambda: setattr(log, "down", True), lambda: setattr(log, "down", False))
        return
    node = Broker(tmp_path)
    kafka = KafkaLog(await node.start(), patience=PATIENCE)
    pid = node.pid
    assert pid is not None
    try:
        await kafka.create_topics(1)
        yield Halting(
            kafka,
            # What does not compress: the client holds some 16 MiB that it has not handed over, and the system's
            # socket buffers up to 38 MiB of what was already sent (tcp_rmem, tcp_wmem).
            [record(os.urandom(1 << 20)) for _ in range(100)],
            lambda: os.kill(pid, signal.SIGSTOP),
            lambda: os.kill(pid, signal.SIGCONT),
        )
    finally:
        os.kill(pid, signal.SIGCONT)
        await node.stop()


async def test_a_read_whose_broker_stands_still_ends(halting: Halting) -> None:
    await halting.fill()
    found = 0
    async with asyncio.timeout(240):
        with pytest.raises(Unavailable):
            async for batch in halting.log.read(Topic.CHANGES, 0):
                found += len(batch)
                halting.halt()
    assert 0 < found < len(halting.records)
    halting.resume()
    assert len(await records(halting.log, Topic.CHANGES)) == len(halting.records)


async def test_a_read_goes_on_while_anything_comes(halting: Halting) -> None:
    """Longer in all than it would wait for the next record."""
    await halting.fill()
    found = halts = 0
    async with asyncio.timeout(240):
        async for batch in halting.log.read(Topic.CHANGES, 0):
            found += len(batch)
            if isinstance(halting.log, KafkaLog) and found < len(halting.records) and halts < HALTS:
                halts += 1
                halting.halt()
                asyncio.get_running_loop().call_later(HALT, halting.resume)
    assert found == len(halting.records)
    assert halts * HALT > PATIENCE or isinstance(halting.log, MemoryLog)
