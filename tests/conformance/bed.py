"""The whole bed: a cluster without containers in a network of its own, and penstock in it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.sinks.local_envoy import envoy_binary
from tests.chart import helm
from tests.conformance import binaries
from tests.conformance.network import Network, is_allowed
from tests.conformance.node.client import Client
from tests.conformance.node.node import fake_node
from tests.conformance.penstock import Controller, install, kafka
from tests.kubernetes.bed import binaries as cluster
from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.server import ApiServerProcess

CLASS = "penstock"
_ACCEPTED_SECONDS = 60.0
_TOOLS = {"ip": "iproute2", "unshare": "util-linux", "chroot": "coreutils"}


class BedError(RuntimeError):
    """The bed is not as it should be; the message says what."""


@dataclass(frozen=True, slots=True)
class Bed:
    """What runs."""

    kubeconfig: Path
    controller: Controller


def missing() -> list[str]:
    """What this machine lacks for a bed, each with the remedy; empty when it can be brought up."""
    found = [f"there is no `{name}` on the PATH: install {of}" for name, of in _TOOLS.items() if not shutil.which(name)]
    if not found and not is_allowed():
        found.append("the bed makes network namespaces: run it as root, in a container with CAP_SYS_ADMIN and CAP_NET_ADMIN")
    if not _is_built() and not shutil.which("go"):
        found.append(f"{cluster.NEEDED} and the conformance suite, once, and there is none on the PATH")
    return found


def build() -> None:
    """Build what is not there yet. Raises MissingBedError, and CalledProcessError."""
    cluster.build()
    binaries.build()
    helm.build()


def _is_built() -> bool:
    return cluster.is_built() and binaries.is_built() and helm.binary().exists()


@asynccontextmanager
async def bed(network: Network, root: Path, denied: str = "") -> AsyncIterator[Bed]:
    """Bring it up in `network`, which is entered, with all its state in `root`; at the end everything is stopped.

    `denied` is a permission that penstock lacks, see `install`. Raises BedError, MissingBedError, BrokerError, JarsMissing or EnvoyMissing.
    """
    envoy = envoy_binary(None)
    server = ApiServerProcess(root)
    try:
        await server.start()
        async with Api(server) as api:
            await api.ready()
            async with kafka(root / "kafka") as brokers, fake_node(server, network, envoy) as node:
                await api.install_gateway_api()
                await install(api, brokers, denied)
                await _accepted(server)
                yield Bed(server.kubeconfig(server.port), Controller(node))
    finally:
        await server.stop()


async def _accepted(server: ApiServerProcess) -> None:
    """The class is there, and its controller has answered."""
    until = time.monotonic() + _ACCEPTED_SECONDS
    async with Client(server) as client:
        while True:
            found = await client.get(f"/apis/gateway.networking.k8s.io/v1/gatewayclasses/{CLASS}") or {}
            conditions = (found.get("status") or {}).get("conditions") or ()
            if any(one["type"] == "Accepted" and one["status"] == "True" for one in conditions):
                return
            if time.monotonic() > until:
                msg = f"GatewayClass {CLASS} is not accepted after {_ACCEPTED_SECONDS:.0f} s"
                raise BedError(msg)
            await asyncio.sleep(0.1)
