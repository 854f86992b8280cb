"""Follows kinds of a cluster for ever: what a reflector asks is asked, what it makes of the answers is handed on.

It decides nothing and keeps nothing. What fails is asked again, later and later, and said once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

import structlog

from engine.models.kind import Kind
from engine.ref import Ref
from streams.backoff import Backoff
from streams.kubernetes.cluster import Cluster, ClusterError, Gone, Json, NotServed, Served, Target
from streams.kubernetes.reflector import PAGE, ListRequest, Reflector, WatchRequest
from streams.reminder import Reminder

_LOG = structlog.get_logger()
_BUILT_IN: Final = ("", "discovery.k8s.io")
"""Groups without a CRD: where they are not served, there is no API server."""
_TROUBLES: Final = 100
V = TypeVar("V")


class Hearer(Protocol[V]):
    """Who is told. `read` makes of an object what is kept of it; a page's objects are not held as they came."""

    def read(self, target: Target, object_: Json) -> tuple[Ref, V]:
        """What is kept of an object of a target."""

    def listed(self, target: Target, found: Mapping[Ref, V]) -> None:
        """All that there is of a target; nothing, of a kind that is not served."""

    def seen(self, ref: Ref, value: V | None) -> None:
        """What a watch says of one object, None that it is gone."""

    def has_any(self, target: Target, /) -> bool:
        """Whether anything of a target is known: what a mistake about it would take away."""

    @property
    def unread(self) -> list[str]:
        """Kinds that the hearer waits for with all it does."""


@dataclass(frozen=True, slots=True)
class Following(Generic[V]):
    """One cluster, by its name. `poll_seconds` is how often it is asked whether a CRD that is missing has come."""

    name: str
    cluster: Cluster
    hearer: Hearer[V]
    poll_seconds: float = 2.0
    limit: int = PAGE
    reminders: dict[str, Reminder] = field(default_factory=dict)

    async def kind(self, kind: Kind, namespace: str = "", labels: str = "") -> None:
        """Follow a kind, or what a namespace or a label selector leaves of it, as one of its versions serves it.

        Waits while none does.
        """
        served = await self._discover()
        while True:
            target = Target(kind.group, kind.name, kind.plural, version_of(kind, served), namespace, "", labels)
            with suppress(NotServed):
                await self.target(target)
            served = await self._discover()
            if version_of(kind, served) == target.version and await self._is_missing(target):
                _LOG.info("waiting for the CRD of a kind", cluster=self.name, kind=kind.name)
                self.hearer.listed(target, {})
                served = await self._until_served(kind)

    async def _is_missing(self, target: Target) -> bool:
        """Listed, a kind was not there: whether that is so. Of one that had objects it is asked again after a while.

        Of discovery alone one cannot tell: it comes late after a restart. And to be wrong would delete them all.
        """
        if not self.hearer.has_any(target):
            return True
        await asyncio.sleep(self.poll_seconds)
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
            await asyncio.sleep(self.poll_seconds)
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

    async def target(self, target: Target) -> None:
        """List and watch for ever. Raises NotServed, of a kind that a CRD defines."""
        reflector = Reflector(partial(self.hearer.read, target), self.limit)
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

    async def _answer(self, target: Target, reflector: Reflector[V]) -> bool:
        """Ask once; whether something came of it."""
        request, came = reflector.request, False
        if isinstance(request, ListRequest):
            found = reflector.page(await self.cluster.page(target, request.token, request.limit))
            if found is not None:
                self.hearer.listed(target, found)
            return True
        async for event in self.cluster.watch(target, request.version):
            came = True
            said = reflector.event(event)
            if said is not None:
                self.hearer.seen(*said)
            if reflector.request != request and isinstance(reflector.request, ListRequest):
                break
        return came

    def _complain(self, error: ClusterError) -> None:
        """Once for all kinds, as one trouble mostly concerns all, and now and then again."""
        words = str(error)
        if len(self.reminders) > _TROUBLES:
            self.reminders.clear()
        if self.reminders.setdefault(words, Reminder()).is_due(words):
            unread = {"not_read_yet": ", ".join(self.hearer.unread)} if self.hearer.unread else {}
            _LOG.warning("the cluster does not answer", cluster=self.name, reason=words, **unread)


def version_of(kind: Kind, served: frozenset[Served] | None) -> str:
    """The version in which to read a kind: the first of ours that is served, our first while nothing is known."""
    for version in kind.versions:
        if served is not None and (kind.group, version, kind.plural) in served:
            return version
    return kind.versions[0]
