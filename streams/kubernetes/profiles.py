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
from streams.kubernetes.cluster import Cluster, ClusterError, Json, NotServed, Page, Target
from streams.kubernetes.following import Following
from streams.kubernetes.heard import Heard
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
    """`concerns` is told the name of a cluster for which another profile counts now, or another way.

    None counts before all namespaces were listed: of a name's profiles an older one may stand where it is not seen yet.
    """

    cluster: str
    configuration: Cluster
    inventory: Inventory
    concerns: Callable[[str], None]
    claims: dict[str, Claim] = field(default_factory=dict)
    """By its name what counts of a cluster."""
    _profiles: dict[Ref, Profile] = field(default_factory=dict)
    _by_name: dict[str, set[Ref]] = field(default_factory=dict)
    _listed: set[str] = field(default_factory=set)
    _missing: set[str] = field(default_factory=set)
    """Namespaces of which it was said that there is no such kind."""
    _asked: _Asked = field(init=False)
    _providers: Providers | AccessError = field(default_factory=dict)
    _reminders: Reminders = field(default_factory=Reminders)

    def __post_init__(self) -> None:
        self._asked = _Asked(self.configuration)

    async def run(self) -> None:
        """Follow the profiles, and the file of the providers, for ever."""
        following: Following[Profile] = Following(self.cluster, self._asked, self)
        self._load()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_providers())
            tasks.create_task(self._tell_waiting())
            for namespace in self.inventory.namespaces:
                tasks.create_task(following.kind(KIND, namespace, self.inventory.labels))

    @property
    def is_listed(self) -> bool:
        """Whether it is known which profiles there are."""
        return not self._unlisted

    @property
    def _unlisted(self) -> set[str]:
        """Where the kind is missing nothing is listed; but it comes to one namespace sooner than to the next."""
        return set(self.inventory.namespaces) - (self._listed or self._missing)

    @property
    def waiting(self) -> str:
        """For what they wait that count then; empty once they do."""
        return "; ".join(self._why(one) for one in sorted(self._unlisted))

    def _why(self, namespace: str) -> str:
        error = self._asked.trouble_of(namespace)
        if error is None:
            return f"ClusterProfiles of namespace {namespace} are being listed"
        remedy = "until then no ClusterProfile counts: let them be listed and watched there, or leave it out of"
        return f"ClusterProfiles of namespace {namespace} cannot be listed: {error}; {remedy} PENSTOCK_MEMBERS_PROFILES"

    async def _tell_waiting(self) -> None:
        reminder = Reminder()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            waiting = self.waiting
            if waiting and reminder.is_due(waiting):
                _LOG.warning("no ClusterProfile counts yet", reason=waiting)

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
        was_listed = self.is_listed
        is_served = target.namespace in self._asked.answered
        into, out_of = (self._listed, self._missing) if is_served else (self._missing, self._listed)
        into.add(target.namespace)
        out_of.discard(target.namespace)
        for ref in sorted(there - found.keys()):
            self.seen(ref, None)
        for ref, one in sorted(found.items()):
            self.seen(ref, one)
        if not was_listed:
            self._settle_all()

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

    def _settle_all(self) -> None:
        for name in sorted(self._by_name):
            self._settle(name)

    def _settle(self, name: str) -> None:
        if not self.is_listed:
            return
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
                self._settle_all()

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


class _Asked(Heard):
    """The configuration cluster, and what it said of each namespace's profiles."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.answered: set[str] = set()
        """Namespaces that were answered of, when they were asked last, as of a kind that is served."""

    def trouble_of(self, namespace: str) -> ClusterError | None:
        """Why a namespace is not listed, as far as it is known."""
        found = {"" if target is None else target.namespace: error for target, error in self._failing.items()}
        return found.get(namespace, found.get(""))

    async def page(self, target: Target, token: str, limit: int) -> Page:
        """See `Cluster.page`."""
        try:
            found = await super().page(target, token, limit)
        except NotServed:
            self.answered.discard(target.namespace)
            raise
        self.answered.add(target.namespace)
        return found

    def _fails(self, target: Target | None, error: ClusterError) -> None:
        self._failing[target] = error


def _where(ref: Ref) -> str:
    return f"{ref.namespace}/{ref.name}"
