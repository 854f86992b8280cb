"""Where the behaviour suites play: the twin in memory and the real API server behind a network that can be cut."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from engine.models.kinds import KINDS
from streams.clock import now
from streams.kubernetes.client import connect
from streams.kubernetes.cluster import Cluster, Served
from streams.kubernetes.memory import MemoryCluster
from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.relay import Relay
from tests.kubernetes.bed.server import ApiServerProcess

TCP_ROUTE = ("gateway.networking.k8s.io", "TCPRoute")
_NUMBERS = itertools.count(1)


class Stage(Protocol):
    """A cluster and what may happen to it. `namespace` is one of the test's own; `seconds` is how long things may take, if nothing hangs."""

    cluster: Cluster
    namespace: str
    seconds: float

    async def put(self, object_: Mapping[str, Any], manager: str = "tests") -> None:
        """Create or replace."""

    async def delete(self, object_: Mapping[str, Any]) -> None:
        """Delete."""

    async def cut(self) -> None:
        """Nobody who watches reaches the API server, which goes on."""

    async def mend(self) -> None:
        """It can be reached again."""

    async def restart(self) -> None:
        """The API server is killed and started again."""

    async def forget(self) -> None:
        """All history is compacted away."""

    async def serve(self) -> None:
        """Install the CRD of TCPRoute."""

    async def unserve(self) -> None:
        """Remove the CRD of TCPRoute, and its objects with it."""


class MemoryStage:
    """The twin. While it is cut it takes changes: only who watches is kept away."""

    def __init__(self) -> None:
        served = {(kind.group, kind.name): Served(kind.group, kind.versions[0], kind.plural) for kind in KINDS if kind.group}
        self.twin = MemoryCluster(served, now)
        self.cluster: Cluster = self.twin
        self.namespace = f"test-{next(_NUMBERS)}"
        self.seconds = 240.0
        self._tcp = served[TCP_ROUTE]

    async def put(self, object_: Mapping[str, Any], manager: str = "tests") -> None:
        await self.twin.put(object_, manager)

    async def delete(self, object_: Mapping[str, Any]) -> None:
        await self.twin.delete(object_)

    async def cut(self) -> None:
        await self.twin.stop()

    async def mend(self) -> None:
        await self.twin.start()

    async def restart(self) -> None:
        await self.twin.drop()

    async def forget(self) -> None:
        self.twin.compact()
        await self.twin.drop()

    async def serve(self) -> None:
        await self.twin.serve(TCP_ROUTE, self._tcp)

    async def unserve(self) -> None:
        await self.twin.unserve(TCP_ROUTE)


class RealStage:
    """The real API server; who watches goes through the relay, the test's own changes do not."""

    def __init__(self, server: ApiServerProcess, api: Api, relay: Relay, cluster: Cluster) -> None:
        self.cluster = cluster
        self.namespace = f"test-{next(_NUMBERS)}"
        self.seconds = 240.0
        self.api = api
        self._server = server
        self._relay = relay

    async def put(self, object_: Mapping[str, Any], manager: str = "tests") -> None:
        await self.api.persist(object_, manager)

    async def delete(self, object_: Mapping[str, Any]) -> None:
        await self.api.delete(object_)

    async def cut(self) -> None:
        await self._relay.cut()

    async def mend(self) -> None:
        await self._relay.mend()

    async def restart(self) -> None:
        await self._server.restart()
        await self.api.ready()

    async def forget(self) -> None:
        # The API server's watch cache remembers what etcd has forgotten, until it starts anew.
        await self._server.compact()
        await self.restart()

    async def serve(self) -> None:
        await self.api.install("tcproutes")

    async def unserve(self) -> None:
        await self.api.uninstall("tcproutes.gateway.networking.k8s.io")


@asynccontextmanager
async def real_stage(server: ApiServerProcess) -> AsyncIterator[RealStage]:
    """A namespace of its own on a running server."""
    async with Api(server) as api, Relay(server.port) as relay:
        kubeconfig = server.kubeconfig(relay.port)
        async with connect(kubeconfig) as cluster:
            stage = RealStage(server, api, relay, cluster)
            await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stage.namespace}}, "tests")
            try:
                yield stage
            finally:
                await api.empty(stage.namespace)
