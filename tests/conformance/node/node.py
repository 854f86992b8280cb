"""The fake node: follows the API server, and does what is to be done as often as something changes."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.conformance.network import NODE, Network, NetworkError
from tests.conformance.node import pod as pods
from tests.conformance.node.balancer import Balancer
from tests.conformance.node.client import Client, Mirror, complain
from tests.conformance.node.kubelet import PORT, serve_logs
from tests.conformance.node.namespaces import finalize
from tests.conformance.node.pod import Pod
from tests.conformance.node.services import Services
from tests.conformance.node.workloads import NODE_NAME, Workloads, owner_of
from tests.kubernetes.bed.server import ApiServerProcess

_IDLE_SECONDS = 0.5
_TOGETHER_SECONDS = 0.03
"""What changes within this time is done together."""


@asynccontextmanager
async def fake_node(server: ApiServerProcess, network: Network, envoy: Path) -> AsyncIterator[FakeNode]:
    """Run the node of an API server; at its end no pod is left."""
    async with Client(server) as client:
        node = FakeNode(client, network, server, envoy)
        await node.register()
        async with serve_logs(node.pods, server.root):
            task = asyncio.create_task(node.run())
            try:
                yield node
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await node.close()


class FakeNode:
    """Made by `fake_node`."""

    def __init__(self, client: Client, network: Network, server: ApiServerProcess, envoy: Path) -> None:
        self._client, self._network, self._root, self._envoy = client, network, server.root, envoy
        self._changed = asyncio.Event()
        self._deployments = Mirror(client, "/apis/apps/v1/deployments", self._changed)
        self._pods = Mirror(client, "/api/v1/pods", self._changed)
        self._services = Mirror(client, "/api/v1/services", self._changed)
        self._namespaces = Mirror(client, "/api/v1/namespaces", self._changed)
        self._running: dict[str, Pod] = {}
        self._count = 0
        self._workloads = Workloads(client)
        self._balancer = Balancer()
        self._exposed = Services(client, self._balancer, server.port)
        # By uid of a pod or a namespace.
        self._busy: dict[str, asyncio.Task[None]] = {}

    def pods(self) -> tuple[Pod, ...]:
        """Those that are here now."""
        return tuple(self._running.values())

    async def register(self) -> None:
        """Make the Node."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        metadata = {"name": NODE_NAME, "labels": {"kubernetes.io/hostname": NODE_NAME}}
        await self._client.ask("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        ready = {"type": "Ready", "status": "True", "reason": "Ready", "lastHeartbeatTime": now, "lastTransitionTime": now}
        size = {"cpu": "64", "memory": "64Gi", "pods": "500"}
        status = {
            "addresses": [{"type": "InternalIP", "address": NODE}], "capacity": size, "allocatable": size,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": PORT}}, "conditions": [ready],
        }  # fmt: skip
        await self._client.set_status(f"/api/v1/nodes/{NODE_NAME}", status)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for mirror in (self._deployments, self._pods, self._services, self._namespaces):
                group.create_task(mirror.run())
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _IDLE_SECONDS)
                self._changed.clear()
                try:
                    await self._reconcile()
                except Exception:  # noqa: BLE001  the log says what; the next change is another try
                    complain(traceback.format_exc(limit=-3))
                await asyncio.sleep(_TOGETHER_SECONDS)

    async def close(self) -> None:
        """End all pods."""
        for task in tuple(self._busy.values()):
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
        await self._balancer.close()
        for uid in tuple(self._running):
            await pods.stop(self._running.pop(uid), self._network)

    async def _reconcile(self) -> None:
        living = {one["metadata"]["name"] for one in self._namespaces.living()}
        deployments = {one["metadata"]["uid"]: one for one in self._deployments.living()}
        of: dict[str | None, list[Any]] = {}
        for uid, pod in tuple(self._pods.items.items()):
            owner = owner_of(pod)
            if pod["metadata"].get("deletionTimestamp") or (owner is not None and owner not in deployments):
                await self._end(uid)
                metadata = pod["metadata"]
                await self._client.remove(f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}")
            else:
                of.setdefault(owner, []).append(pod)
                self._begin(uid, pod)
        for uid in [one for one in self._running if one not in self._pods.items]:
            await self._end(uid)
        for uid, deployment in deployments.items():
            if deployment["metadata"]["namespace"] in living:
                await self._workloads.reconcile(deployment, of.get(uid, ()), self._running)
        services = [one for one in self._services.living() if one["metadata"]["namespace"] in living]
        await self._exposed.reconcile(services, self.pods())
        for uid, namespace in tuple(self._namespaces.items.items()):
            if namespace["metadata"].get("deletionTimestamp"):
                self._do(uid, finalize(self._client, namespace["metadata"]["name"]))

    def _begin(self, uid: str, object_: Any) -> None:
        if uid not in self._running:
            self._count += 1
            self._running[uid] = Pod(self._count, object_, self._root / "pods" / uid)
        pod = self._running[uid]
        # One that waits for a volume has no address yet.
        if not pod.address:
            place = pods.Place(self._client, self._network, self._envoy, self._names())
            self._do(uid, pods.start(pod, place))

    def _names(self) -> tuple[str, ...]:
        """Services as lines of a hosts file, which stands in for the cluster's DNS."""
        return tuple(
            f"{one['spec']['clusterIP']} {one['metadata']['name']}.{one['metadata']['namespace']}.svc"
            for one in self._services.living()
            if one["spec"].get("clusterIP", "None") != "None"
        )

    async def _end(self, uid: str) -> None:
        if (task := self._busy.get(uid)) is not None:
            task.cancel()
            await asyncio.wait([task])
        if (pod := self._running.pop(uid, None)) is not None:
            await pods.stop(pod, self._network)

    def _do(self, uid: str, work: Coroutine[Any, Any, bool]) -> None:
        if uid in self._busy:
            work.close()
            return

        async def done() -> None:
            try:
                if await work:
                    self._changed.set()
            except (aiohttp.ClientError, OSError, NetworkError) as error:
                complain(f"tried again: {error!r}")

        task = self._busy[uid] = asyncio.create_task(done())
        task.add_done_callback(lambda _: self._busy.pop(uid, None))
