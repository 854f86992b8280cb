"""The composition root: builds adapters from settings, and nothing else does."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import tempfile
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from engine.resolve.settings import EngineSettings
from engine.seal import Sealer
from streams.broker import Broker
from streams.clock import now
from streams.continuity import ContinuedLog
from streams.identity import holder, is_proxy_token, proxy_token, replica, sealing_key
from streams.kafka import KafkaLog
from streams.ports import Log, Unavailable
from streams.settings import Settings, deep_merges
from streams.signing import Signer, private_key
from streams.telemetry import Telemetry
from streams.trust import trusted_keys
from streams.xds.snapshot import last_offset

if TYPE_CHECKING:
    from streams.sources.discovery import Discovery, Said
    from streams.sources.issuer import Issuers
    from streams.xds.server import Authorised, Secured

_LOG = structlog.get_logger()
_SOCKET_BYTES = 100


def broker_address(settings: Settings) -> str:
    """Where Kafka is: as set, or the embedded one's address. Raises Unavailable when that does not run."""
    if settings.brokers:
        return settings.brokers
    broker = Broker(settings.data / "broker")
    address = broker.running()
    if address is not None:
        return address
    if (full := broker.full()) is None and (run := holder(settings.data)) is not None:
        msg = f"`penstock run` (process {run}) is starting its Kafka: ask again in a moment"
        raise Unavailable(msg)
    if full is not None:
        msg = f"no broker runs for {settings.data}: {full}; a `penstock run` that still runs starts it again then"
        raise Unavailable(msg)
    msg = f"no broker runs for {settings.data}: start `penstock run`, or name the right --data or --brokers"
    raise Unavailable(msg)


def remedy(settings: Settings) -> str:
    """What to do about a Kafka that does not answer."""
    if settings.brokers:
        return "start it, or name the right one with --brokers"
    if (run := holder(settings.data)) is not None:
        return f"`penstock run` (process {run}) is starting it, ask again in a moment"
    return "start `penstock run` again, which looks after it"


def kafka_log(settings: Settings) -> KafkaLog:
    """The log. Raises Unavailable."""
    return kafka_at(settings, broker_address(settings))


def log_to_come(settings: Settings) -> KafkaLog:
    """The log for roles that go on without it: where it was last, or will be."""
    address = settings.brokers or Broker(settings.data / "broker").address()
    return kafka_at(settings, address)


def kafka_at(settings: Settings, address: str) -> KafkaLog:
    """The log of brokers at an address."""
    known = (settings.topic_prefix, settings.security())
    return KafkaLog(address, *known, signer=signer(settings), trust=trust(settings))


def signer(settings: Settings) -> Signer | None:
    """Who signs what this process writes; None where there is no key."""
    path = settings.signing_key_file
    is_there = settings.signing_key is not None or os.path.exists(path)  # noqa: PTH110  false where we may not look
    return _signer(path) if is_there else None


@cache
def _signer(path: Path) -> Signer:
    """One of a process, so that the key that was read at its start is there when something is to be signed."""
    return Signer(partial(private_key, path))


def trust(settings: Settings) -> EngineSettings | None:
    """By what the resolver is known to refuse records; None where no keys are named."""
    keys = trusted_keys(settings.trusted_keys)
    if not keys:
        return None
    first, domain = settings.configuration_cluster, settings.domain
    return EngineSettings(configuration_cluster=first, trusted_keys=keys, domain=domain)


def snapshot_file(settings: Settings) -> Path:
    """Where the publisher keeps the last state served."""
    return settings.data / "snapshot" / f"{settings.domain}.sealed"


def continued(settings: Settings, log: Log) -> ContinuedLog:
    """The log, refused while it ends below what this data directory has served. Raises IdentityError."""
    path, opener = snapshot_file(settings), Sealer(key(settings))
    seen: dict[tuple[int, int], int] = {}

    def known() -> int:
        try:
            stat = path.stat()
        except OSError:
            return -1
        version = (stat.st_mtime_ns, stat.st_ino)
        if version not in seen:
            # Opened once a version: it may be large, and a log that is refused is asked for again and again.
            found = last_offset(path, opener)
            seen.clear()
            seen[version] = found
            return found
        return seen[version]

    remedy = (
        f"Bring back the newer copy of it. Or go on from this one: stop penstock, move {path} away, and start it "
        f"again; what the manifests say otherwise is then appended to it"
    )
    return ContinuedLog(log, known, remedy, settings.partition)


def key(settings: Settings) -> bytes:
    """The sealing key. Raises IdentityError."""
    return sealing_key(settings.key_file)


def engine_settings(settings: Settings) -> EngineSettings:
    """What the operator decides for the engine. In Kubernetes each Gateway has pods of its own, behind its Service."""
    given = EngineSettings(
        settings.controller_name,
        settings.bind,
        _classes(settings),
        global_policy_namespace=settings.global_policy_namespace,
        reference_grant_mode=settings.reference_grant_mode,
        dns_lookup_family=settings.dns_lookup_family,
        weighted_route_precedence=settings.weighted_route_precedence,
        deep_merges=deep_merges(settings.policy_merge),
        may_be_disabled=tuple(filter(None, settings.may_be_disabled.split(","))),
        configuration_cluster=settings.configuration_cluster,
        trusted_keys=trusted_keys(settings.trusted_keys),
        domain=settings.domain,
    )
    if settings.proxies == "local":
        return given
    from streams.sinks.kubernetes.bootstrap import RESERVED_PORTS  # noqa: PLC0415

    bind = settings.bind if "bind" in settings.model_fields_set else "0.0.0.0"  # noqa: S104  the pod's own addresses
    return replace(
        given, bind_address=bind, shared_address=False, service_addresses=True, reserved_ports=RESERVED_PORTS
    )


def _classes(settings: Settings) -> tuple[str, ...]:
    return (settings.gateway_class,) if settings.gateway_class else ()


def ads_socket(settings: Settings) -> Path:
    """The publisher's unix socket: in the data directory, or, where that path is too long, in the temporary one."""
    return _socket(settings.data.resolve() / "ads.sock")


def health_socket(settings: Settings, role: str) -> Path:
    """Where a role of several in one place tells of its health."""
    return _socket(settings.data.resolve() / "health" / f"{role}.sock")


def _socket(path: Path) -> Path:
    if len(str(path)) <= _SOCKET_BYTES:
        return path
    digest = hashlib.blake2b(str(path).encode(), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"penstock-{digest}.sock"


async def run_resolve(settings: Settings, telemetry: Telemetry) -> None:
    """The resolver role."""
    from streams.resolver import ResolveOptions, resolve  # noqa: PLC0415  roles import what is theirs

    options = ResolveOptions(
        kafka_log(settings),
        Sealer(key(settings)),
        engine_settings(settings),
        settings.data / "resolver",
        settings.domain,
        settings.partition,
        settings.partition + 1,
        settings.host,
        f"resolver-{replica(settings.data)}",
        continued=lambda log: continued(settings, log),
        telemetry=telemetry,
    )
    await resolve(options)


async def run_project(settings: Settings, telemetry: Telemetry) -> None:
    """The projections role."""
    from streams.projections.checkpoints import keep_checkpoints  # noqa: PLC0415
    from streams.projections.convergence import ProjectOptions, project  # noqa: PLC0415
    from streams.projections.index import keep_index  # noqa: PLC0415

    options = ProjectOptions(
        kafka_log(settings),
        settings.data / "projections",
        settings.domain,
        settings.partition,
        settings.partition + 1,
        f"projections-{replica(settings.data)}",
        telemetry,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(project(options), name="convergence")
        tasks.create_task(keep_checkpoints(options.log, settings.domain, settings.partition), name="checkpoints")
        tasks.create_task(keep_index(options.log, settings.domain, settings.partition), name="index")


async def run_publish(settings: Settings, telemetry: Telemetry) -> None:
    """The publisher role; with Kafka away it serves its snapshot."""
    from streams.sinks.local_envoy import envoy_binary  # noqa: PLC0415
    from streams.xds.publisher import PublishOptions, publish  # noqa: PLC0415

    secret = key(settings)
    socket = ads_socket(settings)
    if not settings.xds_listen:
        socket.unlink(missing_ok=True)
    options = PublishOptions(
        settings.xds_listen or f"unix:{socket}",
        snapshot_file(settings),
        _access(settings, secret),
        now,
        envoy_binary(settings.envoy),
        settings.domain,
        settings.partition,
        str(settings.key_file),
        engine_settings(settings).bind_address,
        telemetry,
        replica(settings.data),
    )
    await publish(continued(settings, log_to_come(settings)), Sealer(secret), options)


def _access(settings: Settings, secret: bytes) -> Authorised | Secured:
    """How proxies prove whose they are: over the network within TLS, unless the operator chose otherwise.

    Raises OSError, with the setting, for a certificate that cannot be used.
    """
    from streams.xds.authority import Authority  # noqa: PLC0415
    from streams.xds.server import Secured  # noqa: PLC0415

    if settings.xds_listen and not settings.xds_plaintext:
        if settings.xds_certificate is not None:
            _check_pair(settings.xds_certificate, settings.xds_key)
        return Secured(Authority(secret), settings.xds_certificate, settings.xds_key)
    if settings.xds_listen:
        _LOG.warning(
            "config is served without TLS: who listens on the way reads keys and tokens", at=settings.xds_listen
        )
    return partial(is_proxy_token, secret)


def _check_pair(certificate: Path, private: Path | None) -> None:
    try:
        # Without a password of ours the library would ask for one at the terminal.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, private, password="")
    except OSError as error:
        why = error.strerror or str(error)
        remedy = "name a PEM file, and that of its key with PENSTOCK_XDS_KEY"
        msg = f"PENSTOCK_XDS_CERTIFICATE: {certificate} cannot be used ({why}): {remedy}"
        raise OSError(msg) from None


async def run_deploy(settings: Settings, telemetry: Telemetry) -> None:
    """The local deployer role."""
    from streams.sinks.local_envoy import Deployer, DeployOptions, envoy_binary  # noqa: PLC0415

    secret = key(settings)
    options = DeployOptions(
        settings.data.resolve() / "proxies",
        ads_socket(settings),
        envoy_binary(settings.envoy),
        lambda gateway: proxy_token(secret, gateway),
        settings.envoy_concurrency,
        settings.partition,
        telemetry,
        settings.proxy_cluster,
    )
    await Deployer(options).follow(continued(settings, log_to_come(settings)))


async def run_watch(settings: Settings, cluster: str, directory: Path, telemetry: Telemetry) -> None:
    """The file source role, for one directory."""
    from streams.sources.files import FilesOptions, watch_files  # noqa: PLC0415

    log, domain, partition = continued(settings, kafka_log(settings)), settings.domain, settings.partition
    found = discovery(settings, log)
    options = FilesOptions(cluster, directory, now, domain, partition, settings.allow_empty, found, telemetry)
    await watch_files(log, Sealer(key(settings)), options)


def discovery(settings: Settings, log: Log) -> Discovery:
    """Who asks issuers for their endpoints, beside a source."""
    from streams.sources.discovery import Discovery, switched_off  # noqa: PLC0415
    from streams.sources.lookups import lookups  # noqa: PLC0415

    @cache
    def issuers() -> Issuers:
        """One for all, once one is asked."""
        from streams.sources.issuer import Issuers  # noqa: PLC0415  an HTTP client, which hardly anybody needs

        return Issuers()

    async def ask(issuer: str) -> Said:
        return await issuers().ask(issuer)

    return Discovery(partial(lookups, log, settings.partition), ask if settings.oidc_discovery else switched_off)
