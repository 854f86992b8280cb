"""The ClusterProfiles of the configuration cluster: which cluster of the domain each describes, and which one counts.

It begins nothing at a cluster and writes nothing: who asks is told that something may be otherwise for a name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from engine.ref import Ref
from streams.kubernetes.access import AccessError, Way
from streams.kubernetes.cluster import Cluster, Json, Target
from streams.kubernetes.following import Following
from streams.kubernetes.profile import KIND, Profile, Providers, profile, providers, way
from streams.reminder import Reminder, Reminders

_LOG = structlog.get_logger()
_LOOK_SECONDS: Final = 2.0
_NONE: Final = "PENSTOCK_MEMBERS_PROVIDERS is not set: name the file that says by which plugins credentials are had"


class Inventory(NamedTuple):
    """Which ClusterProfiles count, by namespaces and labels, and the file of their providers."""

    namespaces: tuple[str, ...]
    labels: str = ""
    providers: Path | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a cluster's ClusterProfile says: its way, or why there is none. `where` is the profile's namespace/name."""

    where: str
    way: Way | None = None
    problem: str = ""


@dataclass(slots=True)
class Profiles:
    """`concerns` is told the name of a cluster for which another profile counts now, or another way."""

    cluster: str
    configuration: Cluster
    inventory: Inventory
    concerns: Callable[[str], None]
    claims: dict[str, Claim] = field(default_factory=dict)
    """By its name what counts of a cluster."""
    _profiles: dict[Ref, Profile] = field(default_factory=dict)
    _by_name: dict[str, set[Ref]] = field(default_factory=dict)
    _listed: set[str] = field(default_factory=set)
    _providers: Providers | AccessError = field(default_factory=dict)
    _reminders: Reminders = field(default_factory=Reminders)

    async def run(self) -> None:
        """Follow the profiles, and the file of the providers, for ever."""
        following: Following[Profile] = Following(self.cluster, self.configuration, self)
        self._load()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_providers())
            for namespace in self.inventory.namespaces:
                tasks.create_task(following.kind(KIND, namespace, self.inventory.labels))

    @property
    def is_listed(self) -> bool:
        """Whether it is known which profiles there are."""
        return self._listed >= set(self.inventory.namespaces)

    def passed_over(self, name: str) -> list[str]:
        """Profiles that say the same name as the one that counts, the oldest first."""
        return [_where(ref) for ref in self._oldest(name)[1:]]

    # -- what is described: see `Hearer` ----------------------------------------------------------------------------

    def read(self, target: Target, object_: Json) -> tuple[Ref, Profile]:
        """See `Hearer`."""
        metadata = object_["metadata"]
        where = str(metadata.get("namespace") or ""), str(metadata["name"])
        return Ref(self.cluster, target.group, target.kind, *where), profile(object_)

    def listed(self, target: Target, found: Mapping[Ref, Profile]) -> None:
        """See `Hearer`."""
        there = {ref for ref in self._profiles if ref.namespace == target.namespace}
        self._listed.add(target.namespace)
        for ref in sorted(there - found.keys()):
            self.seen(ref, None)
        for ref, one in sorted(found.items()):
            self.seen(ref, one)

    def seen(self, ref: Ref, value: Profile | None) -> None:
        """See `Hearer`."""
        before = self._profiles.pop(ref, None)
        if value is not None:
            self._profiles[ref] = value
        if before == value:
            return
        if before is not None:
            self._by_name[before.cluster].discard(ref)
        if value is not None:
            self._by_name.setdefault(value.cluster, set()).add(ref)
        for name in sorted({one.cluster for one in (before, value) if one is not None}):
            self._settle(name)

    def has_any(self, target: Target) -> bool:
        """See `Hearer`."""
        return any(ref.namespace == target.namespace for ref in self._profiles)

    @property
    def unread(self) -> list[str]:
        """See `Hearer`."""
        return []

    # -- which one counts -------------------------------------------------------------------------------------------

    def _oldest(self, name: str) -> list[Ref]:
        return sorted(self._by_name.get(name, ()), key=lambda ref: (self._profiles[ref].created, ref))

    def _settle(self, name: str) -> None:
        found = self._oldest(name)
        if not found:
            self._by_name.pop(name, None)
        claim = self._claim(found[0]) if found else None
        if claim is not None and self._profiles[found[0]].misnamed:
            self._complain(claim.where, self._profiles[found[0]].misnamed)
            return
        if claim is not None and name == self.cluster:
            self._complain(claim.where, "it is the configuration cluster, which is watched")
            return
        for where in self.passed_over(name):
            self._complain(where, f"cluster {name} is described by {_where(found[0])}, which is older")
        if claim is not None and claim.problem:
            self._complain(claim.where, claim.problem)
        if claim == self.claims.get(name):
            return
        if claim is None:
            del self.claims[name]
        else:
            self.claims[name] = claim
        self.concerns(name)

    def _claim(self, ref: Ref) -> Claim:
        try:
            if isinstance(self._providers, AccessError):
                raise self._providers
            return Claim(_where(ref), way(self._profiles[ref], self._providers))
        except AccessError as error:
            return Claim(_where(ref), None, str(error))

    def _complain(self, where: str, why: str) -> None:
        if self._reminders.is_due(where, why):
            _LOG.warning("a ClusterProfile is passed over", profile=where, reason=why)

    # -- by which plugins -------------------------------------------------------------------------------------------

    async def _follow_providers(self) -> None:
        """One that cannot be read any more changes nothing: credentials are had as before."""
        path, reminder = self.inventory.providers, Reminder()
        while path is not None:
            await asyncio.sleep(_LOOK_SECONDS)
            before = self._providers
            self._load()
            if isinstance(self._providers, AccessError) and not isinstance(before, AccessError):
                if reminder.is_due(str(self._providers)):
                    _LOG.warning("credentials are had as before", reason=str(self._providers))
                self._providers = before
            elif str(self._providers) != str(before):
                for name in sorted(self._by_name):
                    self._settle(name)

    def _load(self) -> None:
        path = self.inventory.providers
        try:
            if path is None:
                raise AccessError(_NONE)
            self._providers = providers(path.read_bytes(), str(path))
        except AccessError as error:
            self._providers = error
        except OSError as error:
            self._providers = AccessError(f"{path} cannot be read: {error.strerror}")


def _where(ref: Ref) -> str:
    return f"{ref.namespace}/{ref.name}"
