"""All roles together: broker, topics, roles and local proxies come up in this order and go down in the other.

It does none of their work. What outlives a killed run (broker, Envoys) is adopted by the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from streams.backoff import Backoff
from streams.broker import Broker, BrokerError
from streams.broker.jars import JarsMissing
from streams.cancellation import apart
from streams.hanging import mend, writers
from streams.kafka import KafkaLog
from streams.main import health_socket, kafka_at, snapshot_file
from streams.ports import Log, LogError, TopicMissing, Unavailable
from streams.reminder import Reminder
from streams.settings import Settings
from streams.sinks.local_envoy import stop_all
from streams.sources.absent import absent, words
from streams.supervisor import Role, Supervisor

Say = Callable[[str, str], None]
_WATCH_SECONDS = 0.5
_LOOK_SECONDS = 60.0
_RETRY_SECONDS = 1.0
_BACKOFF_SECONDS = (1.0, 2.0, 5.0)
_PUBLISH = Role("publish", ("publish",))
"""Goes on without Kafka, as sinks do."""
_FOLDING = (Role("resolve", ("resolve",)), Role("project", ("project",)))


class _Moved(Exception):  # noqa: N818
    """The broker came back at another address: roles know the old one."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What is read and written: the role that watches each cluster, by its name, and roles that go on without Kafka."""

    sources: Mapping[str, Role]
    sinks: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True)
class Standalone:
    """`environment` is what roles get beside ours; `show` displays the log while it runs."""

    settings: Settings
    outside: Outside
    environment: Mapping[str, str]
    say: Say
    show: Callable[[Log, int], Coroutine[Any, Any, None]]

    async def up(self) -> None:
        """Run until cancelled; roles have ended then.

        Raises BrokerError, JarsMissing or TopicMissing, unless there is a last state to serve meanwhile.
        """
        while True:
            try:
                await apart(self._once())
            except* _Moved:
                self.say("broker", "is at another address now: roles start again")

    async def _once(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            await self._bring_up(tasks)

    async def _bring_up(self, tasks: asyncio.TaskGroup) -> None:
        is_served = snapshot_file(self.settings).exists()
        serving = (_PUBLISH, *self.outside.sinks)
        address = self.settings.brokers or self._broker.address()
        if is_served:
            # First what serves: proxies that start get the last state, whatever becomes of Kafka.
            self._keep_roles(tasks, serving)
        if not self.settings.brokers:
            before, address = address, await self._start_broker(is_patient=is_served)
            if is_served and address != before:
                raise _Moved
        self.say("broker", f"Kafka at {address}")
        log = kafka_at(self.settings, address)
        await self._create_topics(log, is_patient=is_served)
        self._keep_roles(tasks, (*(() if is_served else serving), *_FOLDING, *self.outside.sources.values()))
        tasks.create_task(self.show(log, self.settings.partition), name="view")
        tasks.create_task(self._tell_absent(log), name="absent")
        tasks.create_task(self._look_at_topics(log), name="topics")
        if not self.settings.brokers:
            back = asyncio.Event()
            tasks.create_task(self._keep_broker(address, back), name="broker")
            tasks.create_task(self._mend(log, back), name="mend")

    async def down(self) -> None:
        """End the local proxies, then the embedded broker; what cannot be ended keeps nothing else alive.

        Proxies in a cluster serve on. Raises OSError.
        """
        try:
            await stop_all(self.settings.data.resolve() / "proxies")
        finally:
            if not self.settings.brokers:
                await self._broker.stop()

    @property
    def _broker(self) -> Broker:
        return Broker(self.settings.data / "broker", lambda text: self.say("broker", text))

    def _keep_roles(self, tasks: asyncio.TaskGroup, roles: Sequence[Role]) -> None:
        supervisor = Supervisor(roles, self.environment, self.say, own=self._health)
        tasks.create_task(supervisor.run(), name="supervisor")

    def _health(self, role: Role) -> Mapping[str, str]:
        """Ours is one endpoint for all: each role has one for us only."""
        address = self.health.get(role.name)
        return {"PENSTOCK_HEALTH_LISTEN": address or ""}

    @property
    def health(self) -> Mapping[str, str]:
        """By role where it tells of its health; of none when nobody is told."""
        if not self.settings.health_listen:
            return {}
        roles = (_PUBLISH, *self.outside.sinks, *_FOLDING, *self.outside.sources.values())
        return {one.name: f"unix:{health_socket(self.settings, one.name)}" for one in roles}

    async def _create_topics(self, log: KafkaLog, *, is_patient: bool) -> None:
        """Wait for a broker that is down: it may be starting, too."""
        reminder = Reminder()
        while True:
            try:
                await log.create_topics(self.settings.partition + 1)
            except Unavailable as error:
                self._remind(reminder, f"{error}; waiting for it: start it, or name another one with --brokers")
                await asyncio.sleep(_RETRY_SECONDS)
            except LogError as error:
                if not is_patient:
                    raise
                self._remind(reminder, f"{error}; the last state is served meanwhile")
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _tell_absent(self, log: Log) -> None:
        """Name clusters that are served though this run does not watch them: it was started with them before."""
        backoff = Backoff(_RETRY_SECONDS)
        while True:
            try:
                settings = self.settings
                found = await absent(log, settings.partition, self.outside.sources, settings.configuration_cluster)
            except LogError:
                await backoff.wait()
                continue
            for cluster, objects in found.items():
                self.say("run", f"warning: {words(cluster, objects)}")
            return

    async def _look_at_topics(self, log: KafkaLog) -> None:
        """Name topics whose retention was limited since the start; what cannot be reached is told of by others."""
        reminder = Reminder()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await log.check_topics(self.settings.partition + 1)
            except TopicMissing as error:
                self._remind(reminder, str(error))
            except LogError:
                continue

    async def _mend(self, log: KafkaLog, back: asyncio.Event) -> None:
        """After each start of the embedded broker: end transactions that it left hanging when it died."""
        backoff = Backoff(_RETRY_SECONDS)
        found = writers(self.settings.domain, self.outside.sources)
        while True:
            try:
                await mend(log, found, self.settings.domain, self.settings.partition)
                backoff.reset()
                await back.wait()
            except LogError:
                # It is away again: what it left is looked for once more when it is back.
                await backoff.wait()
            back.clear()

    async def _start_broker(self, *, is_patient: bool) -> str:
        """Start the embedded broker, later and later while it does not start; the address.

        Raises BrokerError, JarsMissing or OSError at once unless it `is_patient`.
        """
        reminder = Reminder()
        for number in count():
            try:
                return await self._broker.start()
            except (BrokerError, JarsMissing, OSError) as error:
                if not is_patient:
                    raise
                self._remind(reminder, f"{error}; tried again until it starts, the last state is served")
                await asyncio.sleep(_BACKOFF_SECONDS[min(number, len(_BACKOFF_SECONDS) - 1)])
        raise AssertionError

    async def _keep_broker(self, address: str, back: asyncio.Event) -> None:
        """Start the embedded broker again when it dies, and say so when it is back."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._broker.running() is not None:
                continue
            cause = self._broker.cause()
            self.say("broker", f"ended, starts again{f'; its last complaint: {cause}' if cause else ''}")
            if await self._start_broker(is_patient=True) != address:
                raise _Moved
            back.set()

    def _remind(self, reminder: Reminder, text: str) -> None:
        if reminder.is_due(text):
            self.say("broker", text)


def watcher(cluster: str, directory: Path) -> Role:
    """The role that watches a directory; a link is named as it is, for it may be switched to another one."""
    return Role(f"watch-{cluster}", ("watch", f"{cluster}={directory.absolute()}"))
