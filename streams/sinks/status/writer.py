"""Writes what is wanted of every object's status to one cluster: what, when and whether; it lists and watches nothing.

It is told what stands in the cluster and what is wanted, and hands out one write at a time for each object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from engine.models.kgateway import GROUP
from engine.ref import Ref
from streams.kubernetes.cluster import is_older
from streams.sinks.status.agenda import Agenda
from streams.sinks.status.kinds import UNNAMED
from streams.sinks.status.merged import SHARED, merged
from streams.sinks.status.owned import changes, condition_types, conditions_of_others, owned_by
from streams.sinks.status.wanted import Wanted

Json = Mapping[str, Any]

MANAGER: Final = "penstock-status"
"""Our field manager: what is applied under it and left out the next time is taken away."""
_KGATEWAY: Final = "kgateway.dev/kgateway"
"""kgateway's own name, under which its objects can be taken over: what it said is ours to replace then."""


@dataclass(frozen=True, slots=True)
class Current:
    """The status that an object has.

    `owned` is the FieldsV1 tree of what we applied of it, `others` are types of conditions that others wrote.
    """

    version: str
    status: Json
    owned: Json
    others: frozenset[str] = frozenset()


def current(object_: Json) -> Current:
    """What is kept of an object that a list, a watch or a write showed."""
    version, status = str(object_["metadata"].get("resourceVersion") or ""), object_.get("status") or {}
    return Current(version, status, owned_by(object_, MANAGER), conditions_of_others(object_, MANAGER))


class Write(NamedTuple):
    """A status to apply. With a `version` only while the object has it: others may write the same."""

    ref: Ref
    status: Json
    version: str


class StatusWriter:
    """Times that are floats are seconds of one clock; `now` answers RFC 3339 in UTC, whole seconds.

    `controllers` are the names under which our entries stand among others'.
    """

    def __init__(self, cluster: str, controllers: Collection[str], now: Callable[[], str]) -> None:
        self.wanted = Wanted(cluster)
        self.agenda: Agenda[Ref] = Agenda()
        self.writes = 0
        """How many were applied."""
        self._controllers = frozenset(controllers)
        self._now = now
        self._there: dict[Ref, Current] = {}
        self._is_known = False

    # -- what stands in the cluster ---------------------------------------------------------------------------------

    def listed(self, group: str, kind: str, found: Mapping[Ref, Current], at: float) -> None:
        """All objects of a kind, in whatever version: an API server may have been brought back from a copy."""
        for ref in [one for one in self._there if (one.group, one.kind) == (group, kind) and one not in found]:
            self.seen(ref, None, at)
        for ref, one in found.items():
            self._take(ref, one, at)

    def seen(self, ref: Ref, there: Current | None, at: float) -> None:
        """One object, None when it is gone. What is older than we know, as a watch may tell it, says nothing."""
        if there is None:
            self._there.pop(ref, None)
            self.agenda.forget(ref)
            return
        before = self._there.get(ref)
        if before is None or not is_older(there.version, before.version):
            self._take(ref, there, at)

    def _take(self, ref: Ref, there: Current, at: float) -> None:
        before = self._there.get(ref)
        self._there[ref] = there
        if before is None or replace(before, version=there.version) != there:
            self.agenda.add(ref, at)

    # -- what is wanted ---------------------------------------------------------------------------------------------

    def want(self, ref: Ref, status: Json | None, at: float) -> None:
        """What is wanted of an object, None for nothing."""
        if self.wanted.put(ref, status) and ref in self._there:
            self.agenda.add(ref, at)

    def acknowledge(self, placement: str, offset: int | None, at: float, undeployed: str = "") -> None:
        """What all proxies of a Gateway have acknowledged, and why they cannot be deployed."""
        for ref in self.wanted.acknowledge(placement, offset, undeployed):
            if ref in self._there:
                self.agenda.add(ref, at)

    @property
    def is_known(self) -> bool:
        """Whether all that is wanted was told."""
        return self._is_known

    def known(self, at: float) -> None:
        """All that is wanted was told: from now on, what is not wanted of an object is taken away."""
        if not self._is_known:
            self._is_known = True
            for ref in self._there:
                self.agenda.add(ref, at)

    # -- what is written --------------------------------------------------------------------------------------------

    def take(self, at: float) -> Write | None:
        """A write that is due. Answer with `wrote` or `failed`."""
        while (ref := self.agenda.take(at)) is not None:
            write = self._write(ref)
            if write is not None:
                return write
            self.agenda.done(ref, at, wrote=False)
        return None

    def wrote(self, write: Write, object_: Json | None, at: float) -> None:
        """It was applied, and this is the object now; None when the object is not there any more."""
        self.writes += 1
        if object_ is not None and write.ref in self._there:
            self._there[write.ref] = current(object_)
        self.agenda.done(write.ref, at, wrote=True)

    def failed(self, write: Write, at: float) -> None:
        """It was not applied: to be looked at again."""
        self.agenda.failed(write.ref, at)

    def _write(self, ref: Ref) -> Write | None:
        there, wanted = self._there.get(ref), self.wanted[ref]
        if there is None or (wanted is None and not (self._is_known and self._has_ours(there))):
            return None
        is_unnamed = (ref.group, ref.kind) in UNNAMED
        if is_unnamed and self._is_anothers(ref, there, wanted or {}):
            return None
        status = merged(there.status, wanted or {}, self._controllers, self._now())
        if not changes(there.status, status, there.owned):
            return None
        return Write(ref, status, there.version if is_unnamed or SHARED.keys() & status.keys() else "")

    def _is_anothers(self, ref: Ref, there: Current, wanted: Json) -> bool:
        """Whether somebody else says what we would: of a condition that names no controller the last word is his.

        Two that answer each other would never end, and half a condition cannot be taken away.
        """
        said = {str(one["type"]) for one in wanted.get("conditions") or ()}
        said |= condition_types(there.owned.get("f:conditions") or {})
        is_ours = ref.group == GROUP and _KGATEWAY in self._controllers
        return not is_ours and not said.isdisjoint(there.others)

    def _has_ours(self, there: Current) -> bool:
        return bool(there.owned) or any(self._ours(there.status.get(name) or ()) for name in SHARED)

    def _ours(self, entries: Iterable[Json]) -> bool:
        return any(one.get("controllerName") in self._controllers for one in entries)
