"""The composition root of a Kubernetes installation: the roles that know an API server; nothing else builds them."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.seal import Sealer
from streams.clock import now
from streams.identity import IdentityError, proxy_token
from streams.kubernetes.client import ApiServer, connect
from streams.kubernetes.leading import Candidate, lead
from streams.main import continued, kafka_log, key, log_to_come

if TYPE_CHECKING:
    from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Access:
    """A cluster by its name, and how it is reached: without a kubeconfig as the service account of this pod."""

    cluster: str
    kubeconfig: Path | None = None
    context: str = ""

    @asynccontextmanager
    async def server(self) -> AsyncIterator[ApiServer]:
        """Its API server. Raises KubeconfigError."""
        async with connect(self.kubeconfig, self.context) as server:
            yield server


async def run_watch_cluster(settings: Settings, access: Access) -> None:
    """The Kubernetes source role, for one cluster. Raises KubeconfigError."""
    from streams.sources.kubernetes.lookups import lookups  # noqa: PLC0415  roles import what is theirs
    from streams.sources.kubernetes.source import KubernetesOptions, watch_cluster  # noqa: PLC0415

    log, sealer = continued(settings, kafka_log(settings)), Sealer(key(settings))
    wanted = partial(lookups, log, settings.partition)
    options = KubernetesOptions(access.cluster, now, settings.domain, settings.partition, wanted=wanted)
    async with access.server() as server:
        await _led(settings, access, server, "watch", partial(watch_cluster, log, sealer, server, options))


async def run_write_status(settings: Settings, access: Access) -> None:
    """The status writer role, for one cluster. Raises KubeconfigError."""
    from streams.sinks.status.classes import ensure_class  # noqa: PLC0415
    from streams.sinks.status.role import StatusOptions, write_statuses  # noqa: PLC0415

    log = continued(settings, log_to_come(settings))
    options = StatusOptions(access.cluster, frozenset({settings.controller_name}), _seconds, settings.partition)
    async with access.server() as server:

        async def work() -> None:
            await ensure_class(server, settings.gateway_class, settings.controller_name)
            await write_statuses(log, server, options)

        await _led(settings, access, server, "write-status", work)


async def run_deploy_cluster(settings: Settings, access: Access) -> None:
    """The role that deploys proxies to one cluster. Raises KubeconfigError, IdentityError or OSError."""
    from streams.sinks.kubernetes.client import ApiServerObjects  # noqa: PLC0415
    from streams.sinks.kubernetes.deployer import Deployer, DeployOptions  # noqa: PLC0415
    from streams.sinks.kubernetes.proxy import IMAGE, Publisher, Template  # noqa: PLC0415

    if not settings.xds_address:
        msg = "PENSTOCK_XDS_ADDRESS is not set: proxies must be told where they get their config, as host:port"
        raise IdentityError(msg)
    secret = key(settings)
    host, _, port = settings.xds_address.rpartition(":")
    authority = settings.xds_ca.read_text() if settings.xds_ca is not None else ""
    template = Template(
        Publisher(host.strip("[]"), int(port), authority),
        lambda gateway: proxy_token(secret, gateway),
        image=settings.proxy_image or IMAGE,
        domain=settings.domain,
    )
    log, options = (
        continued(settings, log_to_come(settings)),
        DeployOptions(access.cluster, template, settings.partition),
    )
    async with access.server() as server:
        deployer = Deployer(ApiServerObjects(server), options)
        await _led(settings, access, server, "deploy", partial(deployer.follow, log))


async def _led(
    settings: Settings, access: Access, server: ApiServer, role: str, work: Callable[[], Awaitable[None]]
) -> None:
    """Do the work; where replicas share a Lease, while this one is active."""
    if not settings.lease_namespace:
        await work()
        return
    name = f"penstock-{role}-{settings.domain}-{access.cluster}".lower().replace("_", "-")[:253].rstrip("-.")
    identity = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
    await lead(server, Candidate(settings.lease_namespace, name, identity), work)


def _seconds() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
