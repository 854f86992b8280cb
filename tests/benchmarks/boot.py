"""A resolver's boot from a log of 100,000 objects: reading the state back, and until everything is resolved."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from pathlib import Path

from engine.engine import VERSION, Engine
from engine.seal import KEY_BYTES, Sealer
from streams import collector
from streams.broker import Broker
from streams.codec import encode_change_set
from streams.domain import Domain, DomainOptions
from streams.kafka import KafkaLog
from streams.topics import Topic
from streams.view import read_table
from tests.benchmarks.world import world
from tests.support.manifests import change_set

_ROUTES = 33_333
_SET = 3_000
"""Objects a change set."""


def _domain(log: KafkaLog) -> Domain:
    return Domain(log, lambda: Engine(Sealer(bytes(KEY_BYTES))), DomainOptions(version=VERSION))


async def _fill(log: KafkaLog) -> None:
    puts = world(_ROUTES)
    async with log.writer("bench") as writer:
        for number, first in enumerate(range(0, len(puts), _SET)):
            one = change_set(*puts[first : first + _SET], number=number)
            await writer.write(encode_change_set(one))
    domain = _domain(log)
    await domain.acquire()
    await domain.release()


async def _measured(log: KafkaLog) -> dict[str, float]:
    gc.collect()  # what filling left is no part of a boot
    with collector.paused():
        began = time.perf_counter()
        await read_table(log, Topic.STATE, 0)
        read = time.perf_counter()
    domain = _domain(log)
    taken = time.perf_counter()
    await domain.acquire()
    whole = time.perf_counter()
    await domain.release()
    return {
        "boot_s.100000": whole - taken,
        "boot_s.100000_state_read": read - began,
    }


async def _boot(directory: Path) -> dict[str, float]:
    broker = Broker(directory)
    try:
        log = KafkaLog(await broker.start())
        await log.create_topics()
        await _fill(log)
        return await _measured(log)
    finally:
        await broker.stop()


def run() -> dict[str, float]:
    """Keys and values for bench.json; seconds of the clock."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        return asyncio.run(_boot(Path(directory)))
