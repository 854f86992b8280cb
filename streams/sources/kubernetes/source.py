"""Brings the log to a cluster: lists and watches every kind that is read, appends what differs from the log.

It decides nothing: what to ask is the reflectors' business, what to append the mirror's.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf

import structlog

from engine.models.kind import Kind
from engine.models.kinds import BY_NAME, KINDS
from engine.ref import Ref
from engine.seal import Sealer
from streams import collector
from streams.backoff import Backoff
from streams.ports import Log
from streams.reminder import Reminder
from streams.sources.journal import Journal, keep_writing
from streams.sources.kubernetes.cluster import Cluster, ClusterError, Gone, Json, NotServed, Served, Target
from streams.sources.kubernetes.mirror import ON_REQUEST, Mirror
from streams.sources.kubernetes.observed import Observed, observe
from streams.sources.kubernetes.reflector import PAGE, ListRequest, Reflector, WatchRequest
from streams.sources.logged import Place

_LOG = structlog.get_logger()
SOURCE = "kubernetes"
_NUMBER = re.compile(r"\[\d+]")
_BUILT_IN = ("", "discovery.k8s.io")
"""Groups without a CRD: where they are not served, there is no API server."""

Wanted = Callable[[], AsyncIterator[frozenset[Ref]]]
"""The Secrets that the graph asks for, whole each time, whenever it asks for others."""


@dataclass(frozen=True, slots=True)
class KubernetesOptions:
    """One cluster. `now` answers RFC 3339 UTC, `clock` seconds that never go back.

    `poll_seconds` is how often it is asked whether a CRD that is missing has come.
    """

    cluster: str
    now: Callable[[], str]
    domain: str = "default"
    partition: int = 0
    clock: Callable[[], float] = time.monotonic
    poll_seconds: float = 2.0
    limit: int = PAGE
    kinds: tuple[Kind, ...] = KINDS
    wanted: Wanted | None = None


async def watch_cluster(log: Log, sealer: Sealer, cluster: Cluster, options: KubernetesOptions) -> None:
    """Watch for ever. Raises Superseded when another watcher of the cluster took over."""
    place = Place(SOURCE, options.cluster, options.domain, options.partition, "this watcher")

    async def stretch(journal: Journal) -> None:
        whole = tuple(kind for kind in options.kinds if (kind.group, kind.name) not in ON_REQUEST)
        source = _Source(cluster, options, sealer, Mirror(journal.logged, options.cluster, whole, sealer), journal)
        try:
            await source.run(whole)
        except ExceptionGroup as group:
            raise _first(group) from None

    await keep_writing(log, place, options.now, stretch)


@dataclass(slots=True)
class _Source:
    """One stretch, from a comparison of the whole cluster with the log to the next loss of the broker."""

    cluster: Cluster
    options: KubernetesOptions
    sealer: Sealer
    mirror: Mirror
    journal: Journal
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    asked: dict[Ref, asyncio.Task[None]] = field(default_factory=dict)
    left_out: set[tuple[str, str]] = field(default_factory=set)
    reminders: dict[str, Reminder] = field(default_factory=dict)

    async def run(self, kinds: tuple[Kind, ...]) -> None:
        """Raises an ExceptionGroup with the log's error."""
        async with asyncio.TaskGroup() as tasks:
            for kind in kinds:
                tasks.create_task(self._follow_kind(kind))
            if self.options.wanted is not None:
                tasks.create_task(self._ask(tasks, self.options.wanted()))
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
            wait = self.mirror.next() - self.options.clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0.0) if wait < inf else None):
                    await self.changed.wait()

    # -- reading ----------------------------------------------------------------------------------------------------

    async def _follow_kind(self, kind: Kind) -> None:
        """Follow a kind as one of its versions serves it; wait while none does."""
        served = await self._discover()
        while True:
            target = Target(kind.group, kind.name, kind.plural, version_of(kind, served))
            with suppress(NotServed):
                await self._follow(target)
            served = await self._discover()
            if version_of(kind, served) == target.version and await self._is_missing(target):
                _LOG.info("waiting for the CRD of a kind", cluster=self.options.cluster, kind=kind.name)
                self.mirror.listed(target, {}, self.options.clock())
                self.changed.set()
                served = await self._until_served(kind)

    async def _is_missing(self, target: Target) -> bool:
        """Listed, a kind was not there: whether that is so. Of one that had objects it is asked again after a while.

        Of discovery alone one cannot tell: it comes late after a restart. And to be wrong would delete them all.
        """
        if not self.mirror.has_any(target):
            return True
        await asyncio.sleep(self.options.poll_seconds)
        backoff = Backoff()
        while True:
            try:
                await self.cluster.page(target, "", 1)
            except NotServed:
                return True
            except ClusterError as error:
                self._complain(error)
                await backoff.wait()
            else:
                return False

    async def _until_served(self, kind: Kind) -> frozenset[Served]:
        while True:
            await asyncio.sleep(self.options.poll_seconds)
            served = await self._discover()
            if any((kind.group, version, kind.plural) in served for version in kind.versions):
                return served

    async def _discover(self) -> frozenset[Served]:
        """What is served now, as soon as the cluster answers."""
        backoff = Backoff()
        while True:
            try:
                return await self.cluster.served()
            except ClusterError as error:
                self._complain(error)
                await backoff.wait()

    async def _follow(self, target: Target) -> None:
        """List and watch for ever. Raises NotServed, of a kind that a CRD defines."""
        reflector = Reflector(partial(self._read, target), self.options.limit)
        backoff, expired = Backoff(), 0
        while True:
            is_watch = isinstance(reflector.request, WatchRequest)
            try:
                came = await self._answer(target, reflector)
            except Gone:
                reflector.gone()
                expired += 1
                came = expired == 1
            except ClusterError as error:
                if isinstance(error, NotServed) and target.group not in _BUILT_IN:
                    raise
                self._complain(error)
                came = False
            else:
                expired = 0 if is_watch and came else expired
            if came:
                backoff.reset()
            else:
                await backoff.wait()

    async def _answer(self, target: Target, reflector: Reflector) -> bool:
        """Ask once; whether something came of it."""
        request, came = reflector.request, False
        if isinstance(request, ListRequest):
            found = reflector.page(await self.cluster.page(target, request.token, request.limit))
            if found is not None:
                self.mirror.listed(target, found, self.options.clock())
                self.changed.set()
            return True
        async for event in self.cluster.watch(target, request.version):
            came = True
            said = reflector.event(event)
            if said is not None:
                self.mirror.seen(*said, self.options.clock())
                self.changed.set()
            if reflector.request != request and isinstance(reflector.request, ListRequest):
                break
        return came

    def _read(self, target: Target, object_: Json) -> tuple[Ref, Observed]:
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

    def _complain(self, error: ClusterError) -> None:
        """Once for all kinds, as one trouble mostly concerns all, and now and then again."""
        if self.reminders.setdefault(str(error), Reminder()).is_due(str(error)):
            unread = {"not_read_yet": ", ".join(self.mirror.unread)} if self.mirror.unread else {}
            _LOG.warning("the cluster does not answer", cluster=self.options.cluster, reason=str(error), **unread)

    # -- objects on request -----------------------------------------------------------------------------------------

    async def _ask(self, tasks: asyncio.TaskGroup, wanted: AsyncIterator[frozenset[Ref]]) -> None:
        async for refs in wanted:
            mine = frozenset(ref for ref in refs if ref.cluster == self.options.cluster)
            for ref in self.asked.keys() - mine:
                self.asked.pop(ref).cancel()
            self.mirror.wanted(mine, self.options.clock())
            for ref in sorted(mine - self.asked.keys()):
                self.asked[ref] = tasks.create_task(self._follow_object(ref))
            self.changed.set()

    async def _follow_object(self, ref: Ref) -> None:
        kind = BY_NAME[ref.group, ref.kind]
        await self._follow(Target(ref.group, ref.kind, kind.plural, kind.versions[0], ref.namespace, ref.name))


def version_of(kind: Kind, served: frozenset[Served] | None) -> str:
    """The version in which to read a kind: the first of ours that is served, our first while nothing is known."""
    for version in kind.versions:
        if served is not None and (kind.group, version, kind.plural) in served:
            return version
    return kind.versions[0]


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
