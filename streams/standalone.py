"""One standalone run: broker, topics, roles and proxies come up in this order and go down in the other.

It does none of their work. What outlives a killed run (broker, Envoys) is adopted by the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.broker import Broker, BrokerError
from streams.hanging import mend, writers
from streams.kafka import KafkaLog
from streams.ports import Log, LogError, Unavailable
from streams.settings import Settings
from streams.sinks.local_envoy import stop_all
from streams.supervisor import Role, Supervisor

Say = Callable[[str, str], None]
_WATCH_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_REMIND_SECONDS = 10.0


class _Moved(Exception):  # noqa: N818
    """The broker came back at another address: roles know the old one."""


@dataclass(frozen=True, slots=True)
class Standalone:
    """`environment` is what roles get beside ours; `show` displays the log while it runs."""

    settings: Settings
    sources: Sequence[tuple[str, Path]]
    environment: Mapping[str, str]
    say: Say
    show: Callable[[Log, int], Coroutine[Any, Any, None]]

    async def up(self) -> None:
        """Run until cancelled; roles have ended then. Raises BrokerError, JarsMissing or TopicMissing."""
        while True:
            address = self.settings.brokers or await self._broker.start()
            self.say("broker", f"Kafka at {address}")
            log = KafkaLog(address, self.settings.topic_prefix, self.settings.security())
            await self._create_topics(log)
            supervisor = Supervisor(self._roles(), self.environment, self.say)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(supervisor.run(), name="supervisor")
                    tasks.create_task(self.show(log, self.settings.partition), name="view")
                    if not self.settings.brokers:
                        back = asyncio.Event()
                        tasks.create_task(self._keep_broker(address, back), name="broker")
                        tasks.create_task(self._mend(log, back), name="mend")
            except* _Moved:
                self.say("broker", "came back at another address: roles start again")

    async def down(self) -> None:
        """End the proxies, then the embedded broker."""
        await stop_all(self.settings.data.resolve() / "proxies")
        if not self.settings.brokers:
            await self._broker.stop()

    @property
    def _broker(self) -> Broker:
        return Broker(self.settings.data / "broker", lambda text: self.say("broker", text))

    def _roles(self) -> list[Role]:
        roles = [Role(name, (name,)) for name in ("resolve", "publish", "deploy", "project")]
        return roles + [
            Role(f"watch-{cluster}", ("watch", f"{cluster}={directory.resolve()}"))
            for cluster, directory in self.sources
        ]

    async def _create_topics(self, log: KafkaLog) -> None:
        """Wait for a broker that is down: it may be starting, too."""
        clock = asyncio.get_running_loop().time
        told = -_REMIND_SECONDS
        while True:
            try:
                await log.create_topics(self.settings.partition + 1)
            except Unavailable as error:
                if clock() - told >= _REMIND_SECONDS:
                    told = clock()
                    self.say("broker", f"{error}; waiting for it: start it, or name another one with --brokers")
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _mend(self, log: KafkaLog, back: asyncio.Event) -> None:
        """After each start of the embedded broker: end transactions that it left hanging when it died."""
        found = writers(self.settings.domain, [cluster for cluster, _ in self.sources])
        while True:
            try:
                await mend(log, found, self.settings.domain, self.settings.partition)
                await back.wait()
            except LogError:
                # It is away again: what it left is looked for once more when it is back.
                await asyncio.sleep(_RETRY_SECONDS)
            back.clear()

    async def _keep_broker(self, address: str, back: asyncio.Event) -> None:
        """Start the embedded broker again when it dies, and say so when it is back."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._broker.running() is not None:
                continue
            self.say("broker", "ended, starts again")
            try:
                if await self._broker.start() != address:
                    raise _Moved
                back.set()
            except BrokerError as error:
                self.say("broker", str(error))
                await asyncio.sleep(_RETRY_SECONDS)
