"""The publisher's process step: follows penstock.xds, serves proxies, reports what they say.

Kafka may come and go: what was last seen stays served, from memory or from the snapshot on disk.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import structlog

from engine.seal import Sealer
from engine.update import Fragment, FragmentKey, parse_fragment_key
from streams.backoff import Backoff
from streams.codec import decode_fragment
from streams.ports import Log, LogError
from streams.reminder import Reminder
from streams.telemetry import Telemetry
from streams.telemetry.metrics import BEHIND, CONNECTED, NACKS, PUBLISHED_OFFSET
from streams.topics import Topic
from streams.view import Batch, follow_table
from streams.xds.bench import Bench
from streams.xds.court import Court
from streams.xds.journey import Arrival, Journeys
from streams.xds.newcomers import Newcomers
from streams.xds.quarantine import Judge
from streams.xds.reports import Reports
from streams.xds.server import Authorised, Secured, serve
from streams.xds.snapshot import Rows, SnapshotFile, load
from streams.xds.stream import Publication, Report

_LOG = structlog.get_logger()
Touched = defaultdict[str, set[int]]
"""By Gateway the offsets of updates."""
_SNAPSHOT_SECONDS = 1.0
_QUIET_SECONDS = 0.5
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """`address` as gRPC spells it; `now` answers RFC 3339 UTC; `envoy` confirms a NACK in isolation when given."""

    address: str
    snapshot: Path
    access: Authorised | Secured
    now: Callable[[], str]
    envoy: Path | None = None
    domain: str = "default"
    partition: int = 0
    key_file: str = ""
    """Where the sealing key is, for what is told of one that does not fit."""
    bind: str = ""
    """The address of listeners: what was rejected for another one is tried again."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    name: str = "publisher"
    """Of this replica."""
    returning: float = 30.0
    """Seconds from the start in which who was there before may come: Envoy's longest pause between two tries."""


async def publish(
    log: Log, sealer: Sealer, options: PublishOptions, ready: Callable[[int], None] = lambda _: None
) -> None:
    """Serve for ever. `ready` hears the port once proxies can connect. Raises OSError when it cannot listen."""
    name = f"{options.name}/{uuid4().hex[:8]}"
    reports, journeys = Reports(options.now, options.domain, options.partition, name), Journeys(options.telemetry)

    def report(one: Report) -> None:
        arrival = _account(one, journeys, options.telemetry)
        reports.heard(replace(one, trace=arrival.trace, seconds=arrival.seconds))
        if one.event in {"connected", "disconnected"}:
            judge.moved(one.node)

    publication = Publication(sealer, report, options.key_file)
    court = Court(options.envoy, sealer) if options.envoy is not None else None
    bench = Bench(
        log,
        court,
        options.now,
        options.domain,
        options.partition,
        bind=options.bind,
        meters=options.telemetry.meters,
        returning=options.returning,
    )
    judge = Judge(bench, publication)
    publication.on_rejection = judge.heard
    newcomers = Newcomers(log, options.partition, publication)
    publication.on_newcomer = newcomers.came
    follower = _Follower(log, sealer, publication, options, journeys)
    _measure(publication, options.telemetry)
    with options.telemetry.health.part("state", follower.waiting):
        async with (
            serve(publication, options.address, options.access) as port,
            asyncio.TaskGroup() as tasks,
        ):
            ready(port)
            tasks.create_task(follower.run(), name="publisher-follow")
            tasks.create_task(reports.write(log), name="publisher-reports")
            tasks.create_task(judge.run(), name="publisher-judge")
            tasks.create_task(newcomers.run(), name="publisher-newcomers")


@dataclass(slots=True)
class _Follower:
    log: Log
    sealer: Sealer
    publication: Publication
    options: PublishOptions
    journeys: Journeys
    is_caught_up: bool = False
    """Whether the log was read to its end, once."""
    trouble: str = ""

    def waiting(self) -> str:
        """What there is to wait for. With the log away the last state is served, and nothing waited for."""
        if self.is_caught_up or self.publication.is_loaded:
            return ""
        return self.trouble or "reads penstock.xds"

    async def run(self) -> None:
        """Follow for ever."""
        saver = Saver(SnapshotFile(self.options.snapshot, self.sealer), self.publication)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(saver.run(), name="publisher-snapshot")
            reminder, backoff = Reminder(), Backoff()
            while True:
                try:
                    async for batch in follow_table(self.log, Topic.XDS, self.options.partition):
                        backoff.reset()
                        touched: Touched = defaultdict(set)
                        saver.offer(_take(batch, self.publication, touched), batch.progress)
                        self.journeys.served(batch.closings, touched)
                        self.is_caught_up, self.trouble = True, ""
                except LogError as error:
                    await self._restore()
                    self.trouble = str(error)
                    if reminder.is_due(str(error)):
                        _LOG.warning("serving the last state until the log answers", reason=str(error))
                    await backoff.wait()

    async def _restore(self) -> None:
        """At the first trouble, unless the log answered before: a large one takes seconds to read."""
        if self.is_caught_up or self.trouble:
            return
        if (stored := await asyncio.to_thread(load, self.options.snapshot, self.sealer)) is not None:
            self.publication.restore(stored.fragments, stored.offset)


def _measure(publication: Publication, telemetry: Telemetry) -> None:
    telemetry.meters.ask(PUBLISHED_OFFSET, lambda: publication.offset)
    telemetry.meters.ask(CONNECTED, lambda: publication.open_streams()[0])
    telemetry.meters.ask(BEHIND, lambda: publication.open_streams()[1])


def _account(report: Report, journeys: Journeys, telemetry: Telemetry) -> Arrival:
    """Count and measure what a proxy said; answers what it is about."""
    match report.event:
        case "connected":
            journeys.connected(report.node)
        case "disconnected":
            journeys.disconnected(report.node)
        case "ack":
            return journeys.acknowledged(report.node, report.offset)
        case "nack" if report.rejection is not None:
            telemetry.meters.count(NACKS, report.rejection.type_url.rpartition(".")[2])
            return Arrival(journeys.rejected(report.node, report.rejection.error))
    return Arrival()


def _take(batch: Batch, publication: Publication, touched: Touched) -> Rows:
    """Hand a batch to the publication; answers what it changes. What cannot be served is left out, and told of.

    `touched` gets the offsets that concern each Gateway.
    """
    rows: dict[FragmentKey, Fragment | None] = {}
    kept: dict[str, str] = {}
    while batch.rows:
        name, record = batch.rows.popitem()
        try:
            key = parse_fragment_key(name)
            fragment = decode_fragment(record) if record is not None else None
            if fragment is not None:
                publication.admit(fragment)
            rows[key] = fragment
            offset = record.header("offset", "") if record is not None else ""
            touched[str(key.gateway)].add(int(offset or batch.progress))
        except ValueError as error:
            # Somebody else wrote into our topic, or with another key: what is served of that key stays.
            kept[name] = str(error)
    _tell(kept)
    if batch.snapshot:
        rows |= {key: None for key in publication.keys() - rows.keys() if str(key) not in kept}
        if batch.progress < 0:
            return {}
    publication.apply(rows, batch.progress)
    return rows


def _tell(kept: Mapping[str, str]) -> None:
    """Name what cannot be served, by key and reason: a line a reason, for another sealing key fits no record at all."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, reason in sorted(kept.items()):
        by_reason[reason].append(name)
    for reason, names in by_reason.items():
        _LOG.error("records of penstock.xds cannot be served", records=len(names), key=names[0], reason=reason)


class Saver:
    """Keeps the snapshot behind what is published, by a second where all is well; off the path of a change."""

    def __init__(self, file: SnapshotFile, publication: Publication) -> None:
        self._file = file
        self._publication = publication
        self._wanted = asyncio.Event()
        self._rows: dict[FragmentKey, Fragment | None] = {}
        self._offset = -1

    def offer(self, rows: Rows, offset: int) -> None:
        """These changed up to an offset; -1 is none."""
        if offset < 0:
            return
        self._rows |= rows
        self._offset = offset
        self._wanted.set()

    async def run(self) -> None:
        """Save for ever; while the disk is full it is said once, and tried again until there is room."""
        failed = False
        while True:
            await self._wanted.wait()
            if self._file.is_due:
                await self._quiet()
            self._wanted.clear()
            rows, self._rows = self._rows, {}
            try:
                if self._file.is_due:
                    await self._file.replace(self._publication.fragments(), self._offset)
                else:
                    await self._file.append(rows, self._offset)
                failed = False
            except OSError as error:
                if not failed:
                    _LOG.error(
                        "the snapshot cannot be written, tried again until it can: free space, or mend the path",
                        path=str(self._file.path),
                        reason=str(error),
                    )
                failed = True
                self._wanted.set()
            await asyncio.sleep(_SNAPSHOT_SECONDS)

    async def _quiet(self) -> None:
        """Wait for a pause between changes, as long as there is patience: everything is a second of work."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_SECONDS
        while loop.time() < deadline:
            self._wanted.clear()
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                return
