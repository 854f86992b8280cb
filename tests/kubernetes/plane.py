"""A control plane in one process before a real API server: the watch, the resolver's domain and the status writer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine.engine import Engine
from engine.events import Put
from engine.resolve.settings import EngineSettings
from engine.seal import KEY_BYTES, Sealer
from streams.clock import now
from streams.codec import decode_change_set, dumps
from streams.kubernetes.cluster import Invalid
from streams.memory import MemoryLog
from streams.ports import Outgoing
from streams.sinks.status.role import StatusOptions, write_statuses
from streams.sources.kubernetes.source import KubernetesOptions, watch_cluster
from streams.sources.lookups import lookups
from streams.telemetry import Telemetry
from streams.topics import Topic, key
from tests.kubernetes.objects import config_map
from tests.kubernetes.stage import RealStage
from tests.support.roles import resolving, working

CONTROLLER = "penstock.dev/gateway-controller"
_SEALER = Sealer(bytes(range(KEY_BYTES)))
_NUMBERS = itertools.count()


class Counting:
    """A cluster whose writes are counted."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.applied: list[tuple[str, str]] = []
        self.flying = 0
        self.refused: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)

    async def apply(self, target: Any, object_: Any, manager: str, subresource: str = "") -> Any:
        self.flying += 1
        try:
            found = await self.cluster.apply(target, object_, manager, subresource)
        except Invalid as error:
            self.refused.append(str(error))
            raise
        finally:
            self.flying -= 1
        self.applied.append((target.kind, target.name))
        return found


@dataclass
class Plane:
    """All roles but the proxies' side: `acknowledge` says what they would."""

    stage: RealStage
    log: MemoryLog = field(default_factory=MemoryLog)
    engine: Engine = field(default_factory=lambda: Engine(_SEALER, EngineSettings()))
    watcher: Telemetry = field(default_factory=Telemetry)
    status_writer: Telemetry = field(default_factory=Telemetry)

    def __post_init__(self) -> None:
        self.cluster = Counting(self.stage.cluster)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        options = KubernetesOptions("east", now, wanted=lambda: lookups(self.log), telemetry=self.watcher)
        async with working(watch_cluster(self.log, _SEALER, self.stage.cluster, options)):
            yield

    @asynccontextmanager
    async def resolving(self) -> AsyncIterator[None]:
        async with resolving(self.log, lambda: self.engine):
            yield

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        options = StatusOptions(
            "east", frozenset({CONTROLLER}), lambda: datetime.now(UTC).isoformat(timespec="seconds")[:19] + "Z",
            telemetry=self.status_writer,
        )
        async with working(write_statuses(self.log, self.cluster, options)):
            yield

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        async with self.watching(), self.resolving(), self.writing():
            yield

    async def passed(self) -> None:
        """Until what was put before now was seen, and resolved."""
        name = f"marker-{next(_NUMBERS)}"
        await self.stage.put(config_map(self.stage.namespace, name, "x"))
        async with asyncio.timeout(self.stage.seconds):
            while name not in await self._names():
                await asyncio.sleep(0.1)
            end = (await self.log.ends(Topic.CHANGES, 0))[1]
            while self.engine.offset < end - 2:  # The change set's marker is behind it.
                await asyncio.sleep(0.05)

    async def _names(self) -> set[str]:
        end = (await self.log.ends(Topic.CHANGES, 0))[1]
        batches = self.log.read(Topic.CHANGES, 0, max(end - 200, 0))
        sets = [decode_change_set(one) async for batch in batches for one in batch]
        return {change.ref.name for one in sets for change in one.changes if isinstance(change, Put)}

    async def acknowledge(self, gateway: str, offset: int) -> None:
        """All proxies of a Gateway of the test's namespace run everything up to an offset."""
        name = f"east/gateway.networking.k8s.io/Gateway/{self.stage.namespace}/{gateway}"
        row = {"gateway": name, "proxies": {}, "lowest": offset, "acknowledged": offset}
        async with self.log.writer("convergence") as writer:
            await writer.write([Outgoing(Topic.CONVERGENCE, 0, key("default", name), dumps(row))])
