"""The members of a domain as Cluster objects and ClusterProfiles of its configuration cluster name them: works at each.

And tells how it goes, in the Cluster object: one that only a profile names gets one. It knows no work: that is handed
in. A member that comes, changes or goes concerns no other one, and what the log has of one that went stays: `penstock
forget` takes it away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from engine.models.cluster import KINDS
from engine.ref import Ref
from engine.resolve.cluster import is_name
from streams.clock import now
from streams.kubernetes.access import AccessError, Way, way
from streams.kubernetes.cluster import ClusterError, Conflict, Json, NotServed, Target, Writable
from streams.kubernetes.following import Following
from streams.kubernetes.member import Kept, Places, Reach, Reason, Standing, Work
from streams.kubernetes.profiles import Claim, Inventory, Profiles
from streams.reminder import Reminder, Reminders
from streams.telemetry import Health

_LOG = structlog.get_logger()
(KIND,) = KINDS
MANAGER: Final = "penstock-members"
"""Our field manager: the condition is ours alone, all others of the object are the status writer's."""
WATCHED: Final = "Watched"
PROFILE: Final = "penstock.dev/cluster-profile"
"""The annotation of an object that is ours: the ClusterProfile that it was made for."""
_TELL_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 5.0
"""After a write that was refused."""
_WORDS_SECONDS: Final = 10.0
"""After which a condition is written again though only its words are others."""


@dataclass(frozen=True, slots=True)
class Described:
    """What stands in a Cluster object: its way, or why there is none, and what was told of it.

    `profile`: the ClusterProfile that it was made for.
    """

    way: Way | None
    problem: str = ""
    generation: int = 0
    told: Json | None = None
    profile: str = ""


@dataclass(slots=True)
class Members:
    """`writes` is where conditions are told, None where somebody else does. `clock` counts seconds.

    `inventory` says which ClusterProfiles count: of a cluster whose Cluster object says no access.
    """

    places: Places
    reach: Reach
    work: Work
    writes: Writable | None = None
    inventory: Inventory | None = None
    clock: Callable[[], float] = time.monotonic
    described: dict[str, Described] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    is_listed: bool = False
    _works: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _ending: dict[str, set[asyncio.Task[None]]] = field(default_factory=dict)
    _quiet: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Until when nothing of a member is written, and until when no other words of the same."""
    _tasks: asyncio.TaskGroup | None = None
    _reminder: Reminder = field(default_factory=Reminder)
    _profiles: Profiles | None = None
    _passed: Reminders = field(default_factory=Reminders)

    async def run(self, health: Health) -> None:
        """Follow the Cluster objects and the profiles, and work at what they name, for ever."""
        places = self.places
        if self.inventory is not None:
            self._profiles = Profiles(places.cluster, places.configuration, self.inventory, self._settle)
        following: Following[Described] = Following(places.cluster, places.configuration, self)
        with health.part("members", lambda: "" if self.is_listed else "lists Cluster"):
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(following.kind(KIND))
                if self._profiles is not None:
                    self._tasks.create_task(self._profiles.run())
                if self.writes is not None:
                    self._tasks.create_task(self._tell(self.writes))

    # -- what is described: see `Hearer` ----------------------------------------------------------------------------

    def read(self, target: Target, object_: Json) -> tuple[Ref, Described]:
        """See `Hearer`."""
        ref = Ref(self.places.cluster, target.group, target.kind, "", str(object_["metadata"]["name"]))
        said, problem = None, ""
        try:
            said = way(object_)
            if said is not None:
                self._check(ref.name)
        except AccessError as error:
            said, problem = None, str(error)
        generation = int(object_["metadata"].get("generation") or 0)
        made_for = str((object_["metadata"].get("annotations") or {}).get(PROFILE) or "")
        return ref, Described(said, problem, generation, _told(object_), made_for)

    def _check(self, name: str) -> None:
        """Raises AccessError for a name that no cluster has, or another one."""
        if not is_name(name):
            raise AccessError("it is no name for a cluster: use at most 63 of a-z, 0-9 and -")
        if name == self.places.cluster:
            raise AccessError("it is the configuration cluster, which is watched: leave spec.access away")

    def listed(self, target: Target, found: Mapping[Ref, Described]) -> None:  # noqa: ARG002  there is one
        """See `Hearer`."""
        for name in self.described.keys() - {ref.name for ref in found}:
            self._take(name, None)
        for ref, one in found.items():
            self._take(ref.name, one)
        self.is_listed = True
        # Until now one could not know which of them a Cluster object gives another access to.
        for name in tuple(self._claims):
            self._settle(name)

    def seen(self, ref: Ref, value: Described | None) -> None:
        """See `Hearer`."""
        self._take(ref.name, value)

    def has_any(self, _: Target) -> bool:
        """See `Hearer`."""
        return bool(self.described)

    @property
    def unread(self) -> list[str]:
        """See `Hearer`."""
        return []

    def _take(self, name: str, described: Described | None) -> None:
        if described is None:
            self.described.pop(name, None)
        else:
            self.described[name] = described
        self._settle(name)

    @property
    def _claims(self) -> Mapping[str, Claim]:
        return self._profiles.claims if self._profiles is not None else {}

    def _claim(self, name: str) -> Claim | None:
        """What a profile says of a cluster, unless its Cluster object says how it is reached."""
        described = self.described.get(name)
        is_said = described is not None and (described.way is not None or described.problem)
        return None if is_said or not self.is_listed else self._claims.get(name)

    def _settle(self, name: str) -> None:
        """Begin, end, or begin anew; what is reached as before goes on."""
        described, claim = self.described.get(name), self._claim(name)
        profile = self._claims.get(name)
        if profile is not None and claim is None and self.is_listed:
            why = f"Cluster {name} says itself how it is reached: leave its spec.access away"
            if self._passed.is_due(profile.where, why):
                _LOG.warning("a ClusterProfile is passed over", profile=profile.where, reason=why)
        said = claim or described
        wanted = said.way if said is not None else None
        there = self.kept.get(name)
        if wanted == (there.way if there is not None else None):
            return
        if there is not None:
            del self.kept[name]
            self._ending.setdefault(name, set()).add(task := self._works.pop(name))
            task.cancel()
            _LOG.info("a member's access is another one now" if wanted else "a member is left", cluster=name)
        if wanted is not None and self._tasks is not None:
            kept = Kept(name, wanted, self.places, self.reach, self.work)
            self.kept[name] = kept
            # Who waited for one before him, and was ended, too, has not seen its end.
            self._ending[name] = ending = {one for one in self._ending.get(name, ()) if not one.done()}
            self._works[name] = self._tasks.create_task(kept.keep(ending))
            _LOG.info("a member comes", cluster=name)

    # -- what is told -----------------------------------------------------------------------------------------------

    def standing(self, name: str) -> Standing | None:
        """How it goes with a member; None of a cluster that gives no access."""
        found = self._standing(name)
        passed_over = self._passed_over(name)
        if found is None or not passed_over:
            return found
        return found._replace(message=f"{found.message}; passed over: ClusterProfile {', '.join(passed_over)}")

    def _standing(self, name: str) -> Standing | None:
        described, kept, claim = self.described.get(name), self.kept.get(name), self._claim(name)
        if described is not None and described.problem:
            return Standing(Reason.INVALID_ACCESS, described.problem)
        if claim is not None and claim.problem:
            return Standing(Reason.INVALID_ACCESS, f"ClusterProfile {claim.where}: {claim.problem}")
        if kept is not None:
            return kept.told()
        if described is None or not (described.profile or described.told):
            return None
        if self._profiles is not None and self._profiles.waiting:
            return Standing(Reason.PENDING, f"{self._profiles.waiting}; what was last known of it is served on")
        if not described.profile:
            return None
        msg = (
            f"ClusterProfile {described.profile} names it no more; what was last known of it is served on: give "
            f"spec.access, or delete this object, then `penstock forget {name}`"
        )
        return Standing(Reason.INVALID_ACCESS, msg)

    def _passed_over(self, name: str) -> list[str]:
        claim = self._claims.get(name)
        if self._profiles is None or claim is None:
            return []
        return [claim.where] * (self._claim(name) is None) + self._profiles.passed_over(name)

    async def _tell(self, cluster: Writable) -> None:
        while True:
            for name in self._claims.keys() - self.described.keys() if self.is_listed else ():
                await self._make(cluster, name)
            for name in tuple(self.described):
                await self._tell_of(cluster, name)
            await asyncio.sleep(_TELL_SECONDS)

    async def _make(self, cluster: Writable, name: str) -> None:
        """An object of a cluster that only a profile names: to tell in, and so that the log knows that it is meant."""
        if self.clock() < self._quiet.get(name, (0.0, 0.0))[0]:
            return
        where = self._claims[name].where
        try:
            await cluster.write(_target(name), {"metadata": {"annotations": {PROFILE: where}}, "spec": {}})
        except (NotServed, Conflict):
            return  # There is no such kind, or somebody was faster.
        except ClusterError as error:
            self._cannot_write(name, error)
            return
        _LOG.info("a Cluster object is made for a ClusterProfile", cluster=name, profile=where)

    async def _tell_of(self, cluster: Writable, name: str) -> None:
        described, standing = self.described[name], self.standing(name)
        wanted = None if standing is None else _condition(standing, described)
        if not self._is_due(name, described.told, wanted):
            return
        target = _target(name)
        status = {"conditions": [wanted]} if wanted is not None else {}
        try:
            after = await cluster.apply(target, {"status": status}, MANAGER, "status")
        except NotServed:
            return
        except ClusterError as error:
            self._cannot_write(name, error)
            return
        self._quiet[name] = (0.0, self.clock() + _WORDS_SECONDS)
        # What is not there any more must not come to be described again.
        if self.described.get(name) is described:
            _, self.described[name] = self.read(target, after)

    def _cannot_write(self, name: str, error: ClusterError) -> None:
        self._quiet[name] = (self.clock() + _AGAIN_SECONDS, 0.0)
        if self._reminder.is_due(str(error)):
            _LOG.warning("what is told of a member cannot be written now", cluster=name, reason=str(error))

    def _is_due(self, name: str, told: Json | None, wanted: Json | None) -> bool:
        quiet, quiet_of_words = self._quiet.get(name, (0.0, 0.0))
        if told is None or wanted is None:
            return told is not wanted and self.clock() >= quiet
        if any(told.get(one) != wanted[one] for one in ("status", "reason", "observedGeneration")):
            return self.clock() >= quiet
        return bool(told.get("message") != wanted["message"]) and self.clock() >= max(quiet, quiet_of_words)


def _target(name: str) -> Target:
    return Target(KIND.group, KIND.name, KIND.plural, KIND.versions[0], name=name)


def _told(cluster: Json) -> Json | None:
    conditions: Any = (cluster.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == WATCHED), None)


def _condition(standing: Standing, described: Described) -> dict[str, Any]:
    status = "True" if standing.reason is Reason.WATCHED else "False"
    since = (described.told or {}).get("lastTransitionTime") if (described.told or {}).get("status") == status else None
    return {
        "type": WATCHED,
        "status": status,
        "reason": str(standing.reason),
        "message": standing.message,
        "observedGeneration": described.generation,
        "lastTransitionTime": since or f"{now()[:19]}Z",
    }
