"""Brings the log to a cluster: lists and watches every kind that is read, appends what differs from the log.

It decides nothing: what to ask is the reflectors' business, what to append the mirror's.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

import structlog

from engine.events import Reachable
from engine.models.kind import Kind
from engine.models.kinds import KINDS
from engine.observed import is_selection, selected_labels
from engine.outputs.channels import ON_REQUEST
from engine.ref import Ref
from engine.seal import Sealer
from streams import collector
from streams.kubernetes.cluster import Cluster, Json, Target
from streams.kubernetes.following import Following
from streams.kubernetes.reflector import PAGE
from streams.ports import Log
from streams.sources.discovery import Discovery
from streams.sources.journal import Journal, first, keep_writing
from streams.sources.kubernetes.mirror import Mirror
from streams.sources.kubernetes.observed import Observed, observe
from streams.sources.kubernetes.reach import Reach
from streams.sources.kubernetes.views import ANSWERED
from streams.sources.logged import Place
from streams.telemetry import Telemetry
from streams.telemetry.metrics import RELISTS

SOURCE = "kubernetes"
_NUMBER = re.compile(r"\[\d+]")
_SECRET: Final = ("", "Secret", "secrets", "v1")
_LOG = structlog.get_logger()

Wanted = Callable[[], AsyncIterator[frozenset[Ref]]]
"""The Secrets that the graph asks for, by name and by labels, whole each time, whenever it asks for others."""


@dataclass(frozen=True, slots=True)
class KubernetesOptions:
    """One cluster. `now` answers RFC 3339 UTC, `clock` seconds that never go back.

    `poll_seconds` is how often it is asked whether a CRD that is missing has come, `silent_seconds` how long its API
    server may be silent before it counts as unreachable.
    """

    cluster: str
    now: Callable[[], str]
    domain: str = "default"
    partition: int = 0
    clock: Callable[[], float] = time.monotonic
    poll_seconds: float = 2.0
    silent_seconds: float = 30.0
    limit: int = PAGE
    kinds: tuple[Kind, ...] = KINDS
    wanted: Wanted | None = None
    discovery: Discovery | None = None
    telemetry: Telemetry = field(default_factory=Telemetry)


async def watch_cluster(log: Log, sealer: Sealer, cluster: Cluster, options: KubernetesOptions) -> None:
    """Watch for ever. Raises Superseded when another watcher of the cluster took over."""
    place = Place(SOURCE, options.cluster, options.domain, options.partition, "this watcher")

    async def stretch(journal: Journal) -> None:
        whole = tuple(kind for kind in options.kinds if (kind.group, kind.name) not in ON_REQUEST)
        while True:
            source = _Source(cluster, options, sealer, Mirror(journal.logged, options.cluster, whole, sealer), journal)
            with options.telemetry.health.part("cluster", source.unlisted):
                try:
                    await source.run(whole)
                except ExceptionGroup as group:
                    if not isinstance(error := first(group), _Back):
                        raise error from None

    await keep_writing(log, place, options.now, stretch, options.telemetry)


class _Back(Exception):  # noqa: N818  an event
    """The cluster could not be reached for a while, and answers again."""


@dataclass(slots=True)
class _Source:
    """One stretch, from a comparison of the whole cluster with the log to the next loss of broker or cluster."""

    cluster: Cluster
    options: KubernetesOptions
    sealer: Sealer
    mirror: Mirror
    journal: Journal
    following: Following[Observed] = field(init=False)
    reach: Reach = field(init=False)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    asked: dict[Ref, asyncio.Task[None]] = field(default_factory=dict)
    left_out: set[tuple[str, str]] = field(default_factory=set)
    known: set[Target] = field(default_factory=set)
    """What was listed once."""

    def __post_init__(self) -> None:
        options = self.options
        self.following = Following(options.cluster, self.cluster, self, options.poll_seconds, options.limit)
        self.reach = Reach(self.cluster, self.journal, options.silent_seconds, options.clock, self.changed.set)

    async def run(self, kinds: tuple[Kind, ...]) -> None:
        """Raises an ExceptionGroup with the log's error, or _Back."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.reach.run())
            for kind in kinds:
                tasks.create_task(self.following.kind(kind))
            if self.options.wanted is not None:
                tasks.create_task(self._ask(tasks, self.options.wanted()))
            if self.options.discovery is not None:
                tasks.create_task(self.options.discovery.run(self.journal))
            await self._write()

    # -- writing ----------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        is_first = True
        while True:
            self.changed.clear()
            if groups := self.mirror.due(self.options.clock()):
                await self.journal.append(groups)
                self.mirror.written(groups)
                if is_first:
                    collector.trim()
                    is_first = False
                continue
            if not self.mirror.unread:
                self.journal.waits = ""
                await self._reached()
            wait = self.mirror.next() - self.options.clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0.0) if wait < inf else None):
                    await self.changed.wait()

    async def _reached(self) -> None:
        """The log says all that was listed. Raises _Back when that is to be listed again."""
        if self.reach.is_lost:
            if not self.reach.is_silent:
                async with self.journal.turn:  # Nobody is in the middle of a transaction.
                    raise _Back
        elif self.journal.logged.stale:
            _LOG.info("the cluster can be reached again", cluster=self.options.cluster)
            await self.journal.note(Reachable())

    # -- reading ----------------------------------------------------------------------------------------------------

    def read(self, target: Target, object_: Json) -> tuple[Ref, Observed]:
        """See `Hearer`."""
        ref, observed = observe(target, self.options.cluster, object_, self.sealer)
        if observed.left_out:
            # Said once for a field: a CRD that is newer than we are is in every object of its kind.
            fields = [(ref.kind, _NUMBER.sub("[]", path)) for path in observed.left_out]
            for kind, path in sorted(set(fields) - self.left_out):
                _LOG.warning(
                    "a field that is not known here is ignored", kind=kind, field=path, object="/".join(ref[3:])
                )
            self.left_out.update(fields)
        return ref, observed

    def listed(self, target: Target, found: Mapping[Ref, Observed]) -> None:
        """See `Hearer`."""
        self.count(target)
        self.mirror.listed(target, found, self.options.clock())
        self.changed.set()

    def count(self, target: Target) -> None:
        """It is listed; told when that happens again."""
        if target in self.known:
            self.options.telemetry.meters.count(RELISTS, target.kind)
        self.known.add(target)

    def seen(self, ref: Ref, value: Observed | None) -> None:
        """See `Hearer`."""
        self.mirror.seen(ref, value or Observed(), self.options.clock())
        self.changed.set()

    def has_any(self, target: Target) -> bool:
        """See `Hearer`."""
        return self.mirror.has_any(target)

    def unlisted(self) -> str:
        """Which kinds are still to be read, in words."""
        return f"lists {', '.join(self.mirror.unread)}" if self.mirror.unread else ""

    @property
    def unread(self) -> list[str]:
        """See `Hearer`."""
        return self.mirror.unread

    # -- objects on request -----------------------------------------------------------------------------------------

    async def _ask(self, tasks: asyncio.TaskGroup, wanted: AsyncIterator[frozenset[Ref]]) -> None:
        async for refs in wanted:
            mine = frozenset(
                ref for ref in refs if ref.cluster == self.options.cluster and (ref.group, ref.kind) in ANSWERED
            )
            for ref in self.asked.keys() - mine:
                self.asked.pop(ref).cancel()
            self.mirror.wanted(mine, self.options.clock())
            for ref in sorted(mine - self.asked.keys()):
                follow = self._follow_selection if is_selection(ref) else self._follow_object
                self.asked[ref] = tasks.create_task(follow(ref))
            self.changed.set()

    async def _follow_object(self, ref: Ref) -> None:
        await self.following.target(Target(*_SECRET, ref.namespace, ref.name))

    async def _follow_selection(self, selection: Ref) -> None:
        labels = ",".join(f"{label}={value}" for label, value in sorted(selected_labels(selection).items()))
        following = replace(self.following, hearer=_Selected(self, selection))
        await following.target(Target(*_SECRET, selection.namespace, labels=labels))


@dataclass(frozen=True, slots=True)
class _Selected:
    """Hears of the Secrets of one selection. See `Hearer`."""

    source: _Source
    selection: Ref

    def read(self, target: Target, object_: Json) -> tuple[Ref, Observed]:
        """See `Hearer`."""
        return self.source.read(target, object_)

    def listed(self, target: Target, found: Mapping[Ref, Observed]) -> None:
        """See `Hearer`."""
        self.source.count(target)
        self.source.mirror.selected(self.selection, found, self.source.options.clock())
        self.source.changed.set()

    def seen(self, ref: Ref, value: Observed | None) -> None:
        """See `Hearer`."""
        self.source.mirror.seen(ref, value or Observed(), self.source.options.clock(), self.selection)
        self.source.changed.set()

    def has_any(self, target: Target) -> bool:  # noqa: ARG002  Secrets are always served
        """See `Hearer`."""
        return True

    @property
    def unread(self) -> list[str]:
        """See `Hearer`."""
        return self.source.unread
