"""A resolver as a process of its own, to be killed: `python -m tests.streams.resolver_process BROKERS PREFIX HOST MEMBER DIR`.

With one more argument it is `idle`: a client that fetches nothing takes it that it has not for an hour.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import structlog
from aiokafka.consumer.subscription_state import SubscriptionState

from engine.engine import EngineSettings
from engine.seal import KEY_BYTES, Sealer
from streams.kafka import KafkaLog
from streams.resolver import ResolveOptions, resolve

SEALER = Sealer(bytes(KEY_BYTES))


def _hour(self: SubscriptionState) -> float:
    return 0.0 if self._fetch_count else 3600.0


async def main(brokers: str, prefix: str, host: str, member: str, directory: str, *idle: str) -> None:
    if idle:
        SubscriptionState.fetcher_idle_time = property(_hour)
    options = ResolveOptions(
        KafkaLog(brokers, prefix), SEALER, EngineSettings(), Path(directory) / member, host=host, member=member
    )
    task = asyncio.ensure_future(resolve(options, lambda: print("ready", flush=True)))  # noqa: T201
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(*sys.argv[1:]))
