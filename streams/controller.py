"""The composition root of a Kubernetes installation: the roles that know an API server; nothing else builds them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.seal import Sealer
from streams.clock import now
from streams.identity import IdentityError, proxy_token
from streams.kubernetes.client import ApiServer, connect
from streams.kubernetes.cluster import Cluster
from streams.kubernetes.leading import Candidate, lead
from streams.kubernetes.member import Member, Places, Work
from streams.kubernetes.members import Members
from streams.kubernetes.profiles import Inventory
from streams.main import continued, discovery, kafka_log, key, log_to_come
from streams.sources.journal import together
from streams.telemetry import Telemetry

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.sinks.kubernetes.proxy import Publisher


@dataclass(frozen=True, slots=True)
class Access:
    """A cluster by its name, and how it is reached: without a kubeconfig as the service account of this pod.

    `members`: the clusters, too, that its Cluster objects, or its ClusterProfiles, give access to.
    """

    cluster: str
    kubeconfig: Path | None = None
    context: str = ""
    members: bool = False

    @asynccontextmanager
    async def server(self) -> AsyncIterator[ApiServer]:
        """Its API server. Raises KubeconfigError."""
        async with connect(self.kubeconfig, self.context) as server:
            yield server


async def run_watch_cluster(settings: Settings, access: Access, telemetry: Telemetry) -> None:
    """The Kubernetes source role, for one cluster, and for its members. Raises KubeconfigError."""
    from streams.sources.kubernetes.source import KubernetesOptions, watch_cluster  # noqa: PLC0415
    from streams.sources.lookups import lookups  # noqa: PLC0415  roles import what is theirs

    log, sealer = continued(settings, kafka_log(settings)), Sealer(key(settings))

    async def watch(cluster: Cluster, name: str, told: Telemetry) -> None:
        options = KubernetesOptions(
            name,
            now,
            settings.domain,
            settings.partition,
            silent_seconds=settings.unreachable_seconds,
            wanted=partial(lookups, log, settings.partition),
            discovery=discovery(settings, log),
            telemetry=replace(told, traces=telemetry.traces),
        )
        await watch_cluster(log, sealer, cluster, options)

    async def watch_member(member: Member) -> None:
        await watch(member.heard, member.name, member.telemetry)

    led = _Led(settings, access, "watch", telemetry)
    async with access.server() as server:
        own = partial(watch, server, access.cluster, telemetry)
        await led.work(server, own, watch_member)


async def run_write_status(settings: Settings, access: Access, telemetry: Telemetry) -> None:
    """The status writer role, for one cluster, and for its members. Raises KubeconfigError."""
    from streams.sinks.status.classes import keep_class  # noqa: PLC0415
    from streams.sinks.status.role import StatusOptions, write_statuses  # noqa: PLC0415

    log = continued(settings, log_to_come(settings))
    controller = settings.controller_name

    async def write(server: ApiServer, name: str, told: Telemetry) -> None:
        options = StatusOptions(name, frozenset({controller}), _seconds, settings.partition, telemetry=told)
        async with asyncio.TaskGroup() as tasks:
            # No status waits for the class: somebody may have made one of his own, and let us make none.
            tasks.create_task(keep_class(server, settings.gateway_class, controller, told.health))
            tasks.create_task(write_statuses(log, server, options))

    async def write_member(member: Member) -> None:
        await write(member.server, member.name, member.telemetry)

    led = _Led(settings, access, "write-status", telemetry)
    async with access.server() as server:
        own = partial(write, server, access.cluster, telemetry)
        await led.work(server, own, write_member)


async def run_deploy_cluster(settings: Settings, access: Access, telemetry: Telemetry) -> None:
    """The role that deploys proxies to one cluster, and to its members.

    Raises KubeconfigError, IdentityError or OSError.
    """
    from streams.sinks.kubernetes.client import ApiServerObjects  # noqa: PLC0415
    from streams.sinks.kubernetes.deployer import Deployer, DeployOptions  # noqa: PLC0415
    from streams.sinks.kubernetes.proxy import IMAGE, Template  # noqa: PLC0415

    publisher, identity = _publisher(settings, key(settings))
    image, names = settings.proxy_image or IMAGE, (settings.domain, settings.controller_name)
    template = Template(publisher, identity, image, *names)
    log = continued(settings, log_to_come(settings))

    async def deploy(server: ApiServer, name: str, told: Telemetry) -> None:
        options = DeployOptions(name, template, settings.partition, told)
        await Deployer(ApiServerObjects(server), options).follow(log)

    async def deploy_member(member: Member) -> None:
        await deploy(member.server, member.name, member.telemetry)

    led = _Led(settings, access, "deploy", telemetry)
    async with access.server() as server:
        own = partial(deploy, server, access.cluster, telemetry)
        await led.work(server, own, deploy_member)


def _publisher(settings: Settings, secret: bytes) -> tuple[Publisher, Callable[[str], Mapping[str, bytes]]]:
    """Where proxies find the publisher and how they know it, and by what they prove whose they are.

    Raises IdentityError for what proxies could not trust.
    """
    from streams.sinks.kubernetes.bootstrap import CERTIFICATE, KEY, TOKEN  # noqa: PLC0415
    from streams.sinks.kubernetes.proxy import Publisher  # noqa: PLC0415
    from streams.xds.authority import SERVER_NAME, Authority  # noqa: PLC0415

    if not settings.xds_address:
        msg = "PENSTOCK_XDS_ADDRESS is not set: proxies must be told where they get their config, as host:port"
        raise IdentityError(msg)
    if settings.xds_certificate is not None and settings.xds_ca is None:
        msg = (
            "PENSTOCK_XDS_CERTIFICATE needs PENSTOCK_XDS_CA: name the CA certificates that proxies are to trust for it"
        )
        raise IdentityError(msg)
    host, _, port = settings.xds_address.rpartition(":")
    host = host.strip("[]")
    if settings.xds_plaintext:
        return Publisher(host, int(port)), lambda gateway: {TOKEN: proxy_token(secret, gateway).encode()}
    authority = Authority(secret)

    def identity(gateway: str) -> Mapping[str, bytes]:
        pair = authority.proxy(gateway)
        return {CERTIFICATE: pair.certificate, KEY: pair.key}

    if settings.xds_ca is not None:
        return Publisher(host, int(port), _certificates(settings.xds_ca), host), identity
    return Publisher(host, int(port), authority.certificate.decode(), SERVER_NAME), identity


def _certificates(path: Path) -> str:
    """The text of a PEM file. Raises IdentityError."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"PENSTOCK_XDS_CA: {path} cannot be read ({error}): name a PEM file of CA certificates"
        raise IdentityError(msg) from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        msg = f"PENSTOCK_XDS_CA: there is no certificate in {path}: name a PEM file of CA certificates"
        raise IdentityError(msg)
    return text


@dataclass(frozen=True, slots=True)
class _Led:
    settings: Settings
    access: Access
    role: str
    telemetry: Telemetry

    def __post_init__(self) -> None:
        if self._has_members and self.settings.configuration_cluster != self.access.cluster:
            msg = (
                f"members are those of the configuration cluster: set PENSTOCK_CONFIGURATION_CLUSTER to "
                f"{self.access.cluster}, for the resolver, too, or leave --members away"
            )
            raise ValueError(msg)

    @property
    def _has_members(self) -> bool:
        return self.access.members or self.settings.members

    @property
    def _inventory(self) -> Inventory | None:
        settings = self.settings
        namespaces = tuple(filter(None, settings.members_profiles.split(",")))
        return (
            Inventory(namespaces, settings.members_profile_labels, settings.members_providers) if namespaces else None
        )

    async def work(self, server: ApiServer, own: Callable[[], Awaitable[None]], of_member: Work) -> None:
        """Do the work, and that of members; where replicas share a Lease, while this one is active."""
        namespace, work = self.settings.lease_namespace, own
        if self._has_members:
            places = Places(self.access.cluster, server, self.settings.members_kubeconfig or self.access.kubeconfig)
            writes = server if self.role == "watch" else None
            members = Members(places, connect, of_member, writes, self._inventory)
            work = partial(_both, own, partial(members.run, self.telemetry.health))
        if not namespace:
            await work()
            return
        name = f"penstock-{self.role}-{self.settings.domain}-{self.access.cluster}"
        identity = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
        candidate = Candidate(namespace, name.lower().replace("_", "-")[:253].rstrip("-."), identity)
        await lead(server, candidate, work, self.telemetry)


async def _both(one: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[None]]) -> None:
    """Until one fails: raises what it did."""

    async def wait(work: Callable[[], Awaitable[None]]) -> None:
        await work()

    await together(wait(one), wait(other))


def _seconds() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
