"""The resolver's process step: domains on a host, and Ticks for the deadlines that they ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from engine.engine import VERSION, Engine, EngineSettings
from engine.events import ChangeSet, Tick
from engine.seal import Sealer
from streams.clock import now, seconds_until
from streams.codec import encode_change_set
from streams.domain import Domain, DomainOptions
from streams.host import Host
from streams.kafka import KafkaLog
from streams.ports import Log, LogError
from streams.telemetry import Telemetry
from streams.telemetry.metrics import RESOLVED_OFFSET, STALE_CLUSTERS
from streams.topics import Topic

_LOG = structlog.get_logger()
_POLL_SECONDS = 1.0
_PAUSE_SECONDS = 60.0
"""Ten sessions: within one who is gone is found, and within ten seconds more a group has shared out what was theirs."""
_AGAIN_SECONDS: Final = 30.0
"""After which a Tick that moved no deadline is said again."""


@dataclass(frozen=True, slots=True)
class ResolveOptions:
    """`host` is "faust" or "group"; `directory` is the host's own; `member` keeps its partitions over a restart."""

    log: KafkaLog
    sealer: Sealer
    engine: EngineSettings
    directory: Path
    domain: str = "default"
    partition: int = 0
    partitions: int = 1
    host: str = "faust"
    member: str = "resolver-0"
    continued: Callable[[Log], Log] = lambda log: log
    """Guards the log against an older copy of it."""
    telemetry: Telemetry = field(default_factory=Telemetry)


class Crashed(RuntimeError):  # noqa: N818
    """The host ended by itself: start the process again."""


async def resolve(options: ResolveOptions, ready: Callable[[], None] = lambda: None) -> None:
    """Resolve for ever. Raises Unavailable when Kafka cannot be reached at the start, Crashed when the host ends."""
    from streams.app import Membership, resolver_host  # noqa: PLC0415  one host of two, each slow to import
    from streams.group import group_host  # noqa: PLC0415

    meters = options.telemetry.meters
    host = Host(lambda partition: _domain(options, partition), {options.partition}, meters=meters)
    membership = Membership(
        options.log.brokers,
        f"{options.log.prefix}-resolver-{options.domain}",
        options.member,
        options.directory,
        options.log.prefix,
        options.partitions,
        options.log.security,
    )
    adapter = resolver_host if options.host == "faust" else group_host
    health = options.telemetry.health
    health.activity = host.is_active
    meters.ask(RESOLVED_OFFSET, lambda: max(host.offsets().values(), default=-1))
    meters.ask(STALE_CLUSTERS, host.stale)
    with health.part("domain", host.waiting):
        await _hosted(options, host, adapter(membership, host), ready)


async def _hosted(
    options: ResolveOptions,
    host: Host,
    adapter: AbstractAsyncContextManager[Callable[[], bool]],
    ready: Callable[[], None],
) -> None:
    async with adapter as crashed, asyncio.TaskGroup() as tasks:
        tasks.create_task(_ticks(options, host), name="resolver-ticks")
        tasks.create_task(_assigned(options, host), name="resolver-assigned")
        announced = False
        while not crashed() and not host.is_silent():
            if not announced and host.offsets():
                announced = True
                ready()
            await asyncio.sleep(0.1)
        msg = "the resolver's host delivers nothing any more" if host.is_silent() else "the resolver's host ended"
        raise Crashed(msg)


async def _assigned(options: ResolveOptions, host: Host) -> None:
    """Raises Crashed when for long no word comes of what is ours, though Kafka answers all the while.

    The client has states in which it waits for nobody and tells nobody: only a new one helps then.
    """
    clock = asyncio.get_running_loop().time
    since = clock()
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        if not host.is_paused():
            since = clock()
        elif clock() - since > _PAUSE_SECONDS:
            try:
                await options.log.ends(Topic.CHANGES, options.partition)
            except LogError:
                since = clock()
            else:
                msg = f"the resolver's host gave no assignment for {_PAUSE_SECONDS:.0f} s"
                raise Crashed(msg)


def _domain(options: ResolveOptions, partition: int) -> Domain:
    return Domain(
        options.continued(options.log),
        lambda: Engine(options.sealer, options.engine),
        DomainOptions(options.domain, partition, VERSION, telemetry=options.telemetry),
    )


async def _ticks(options: ResolveOptions, host: Host) -> None:
    """Time enters the log as change sets: one when the next deadline of a domain of ours has come."""
    told: dict[int, tuple[str, float]] = {}
    clock = asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        for partition, wake in host.wakes().items():
            before, at = told.get(partition, ("", 0.0))
            # One that counts moves the deadline: one that did not was rejected, or is behind much else.
            is_told = before == wake and clock() - at < _AGAIN_SECONDS
            if wake is None or is_told or seconds_until(wake) > 0:
                continue
            if before == wake and options.log.signer is not None:
                options.log.signer.renew()
            time = now()
            tick = ChangeSet(options.domain, "", "clock", f"tick-{wake}", time, "penstock", (Tick(),))
            try:
                async with options.continued(options.log).writer(f"clock-{options.domain}") as writer:
                    await writer.write(encode_change_set(tick, partition))
                told[partition] = wake, clock()
            except LogError as error:
                _LOG.warning("a tick waits for the log", reason=str(error))
