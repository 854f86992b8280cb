"""The core of the Kubernetes source: what a cluster shows and what the log says of it -> what must be appended.

No I/O and no clock. Nothing is told of a cluster before all of it was read, and of a kind that is listed again nothing
before its last page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from engine.document import Document, document
from engine.events import Admitted, Change, Delete, Put, Refused
from engine.models.kind import Kind
from engine.observed import observation
from engine.ref import Ref
from engine.resolve.manifest import labels_of
from engine.seal import Sealer
from streams.kubernetes.cluster import Target
from streams.sources.journal import Group
from streams.sources.kubernetes.neighbours import Neighbours
from streams.sources.kubernetes.observed import Observed, actor, entering
from streams.sources.kubernetes.order import Order
from streams.sources.kubernetes.views import ANSWERED, Views, met
from streams.sources.logged import Logged


class Mirror:
    """One cluster. `logged` is followed by whoever writes; `written` must be told too. `kinds` are read as a whole."""

    def __init__(self, logged: Logged, cluster: str, kinds: Iterable[Kind], sealer: Sealer) -> None:
        self._logged = logged
        self._cluster = cluster
        self._sealer = sealer
        self._unread = {(kind.group, kind.name) for kind in kinds}
        self._neighbours = Neighbours(logged.objects)
        self._order = Order(logged.objects, self._neighbours)
        self._views = Views()
        self._is_whole = False
        """Whether a listing ended since the last change: what it found is told at once."""

    @property
    def unread(self) -> list[str]:
        """Kinds of which not everything was read yet: until there is none, nothing is told."""
        return sorted(kind for _, kind in self._unread)

    def has_any(self, target: Target) -> bool:
        """Whether any object of a target was told or is about to be."""
        return bool(self._known(target))

    # -- what is seen -----------------------------------------------------------------------------------------------

    def listed(self, target: Target, found: Mapping[Ref, Observed], now: float) -> None:
        """All that there is of a target; nothing, of a kind that is not served."""
        if target.name:
            self._views.listed(self._named(target))
        for ref in self._known(target) - found.keys():
            self.seen(ref, Observed(), now)
        for ref, observed in found.items():
            self.seen(ref, observed, now)
        if target.name and not found:
            # Asked for, and not there: that is an answer, too.
            self.seen(self._named(target), Observed(), now)
        self._unread.discard((target.group, target.kind))
        self._is_whole |= not target.name

    def selected(self, selection: Ref, found: Mapping[Ref, Observed], now: float) -> None:
        """All Secrets of a selection: told as a whole, with the answer that there are no others."""
        if not self._views.is_wanted(selection):
            return
        self._views.listed(selection)
        secrets = [ref for ref in self._logged.objects if (ref.group, ref.kind) in ANSWERED]
        before = self._views.shown(selection) | met(selection, ((ref, self._labels(ref)) for ref in secrets))
        for ref in before - found.keys():
            self.seen(ref, Observed(), now, selection)
        for ref, observed in found.items():
            self.seen(ref, observed, now, selection)
        self._order.put(selection, Observed(document(observation(selection, {}))), now)
        self._is_whole = True

    def seen(self, ref: Ref, observed: Observed, now: float, by: Ref | None = None) -> None:
        """What a watch or a listing shows of one object; `by` a selection, of which it may be one no longer."""
        if (ref.group, ref.kind) in ANSWERED and not self._is_news(ref, observed, by or ref):
            return
        self._order.put(ref, observed, now)

    def _is_news(self, ref: Ref, observed: Observed, by: Ref) -> bool:
        if observed.object is not None or observed.problem:
            return self._views.shows(ref, by, observed.version)
        return self._views.lacks(ref, by, self._labels(ref))

    def wanted(self, refs: frozenset[Ref], now: float) -> None:
        """What the graph asks for, of the kinds `ANSWERED`: other objects of these leave the log."""
        self._views.want(refs)
        for ref in {*self._logged.objects, *self._logged.absent, *self._order.refs()} - refs:
            if (ref.group, ref.kind) in ANSWERED and not self._views.has(ref, self._labels(ref)):
                self._order.put(ref, Observed(), now)

    def _labels(self, ref: Ref) -> Mapping[str, str]:
        """Those that were told last."""
        return labels_of(self._logged.objects.get(ref))

    def _known(self, target: Target) -> set[Ref]:
        """All of a target that was told or is about to be."""
        if target.name:
            # Of one object it costs one look: each Secret that is asked for is a target of its own.
            ref = self._named(target)
            is_known = ref in self._logged.objects or ref in self._order or "/".join(ref[1:]) in self._logged.refused
            return {ref} if is_known else set()
        places = (location.split("/") for location in self._logged.refused)
        refused = (Ref(self._cluster, *place) for place in places if len(place) == len(Ref._fields) - 1)
        known = {*self._logged.objects, *self._order.refs(), *refused}
        return {ref for ref in known if (ref.group, ref.kind) == (target.group, target.kind)}

    def _named(self, target: Target) -> Ref:
        return Ref(self._cluster, target.group, target.kind, target.namespace, target.name)

    # -- what is told -----------------------------------------------------------------------------------------------

    def due(self, now: float) -> list[Group]:
        """What must be appended now, in order, each group one change set: a listing's is one, of all its actors."""
        if self._unread:
            return []
        if self._is_whole or not self._logged.synced:
            self._is_whole = False
            taken = self._order.take_all()
            changes = self._changes(taken)
            told = {change.ref for change in changes if isinstance(change, Put)}
            return [(actor(taken[ref] for ref in told), changes)] if changes or not self._logged.synced else []
        return self._groups(self._order.take(now))

    def next(self) -> float:
        """When to ask again, in seconds of the clock; infinity when nothing waits."""
        return self._order.next() if not self._unread else inf

    def written(self, groups: Iterable[Group]) -> None:
        """The log has it."""
        for _, changes in groups:
            self._neighbours.take(changes)

    def _groups(self, taken: Mapping[Ref, Observed]) -> list[Group]:
        """Neighbours of one manager are one change set."""
        gathered: list[tuple[str, dict[Ref, Observed]]] = []
        for ref, seen in taken.items():
            if not gathered or gathered[-1][0] != seen.manager:
                gathered.append((seen.manager, {}))
            gathered[-1][1][ref] = seen
        groups = [(actor(seen.values()), self._changes(seen)) for _, seen in gathered]
        return [(who, changes) for who, changes in groups if changes]

    def _changes(self, taken: Mapping[Ref, Observed]) -> list[Change]:
        changes: list[Change] = []
        for ref, seen in taken.items():
            location, old = "/".join(ref[1:]), self._logged.objects.get(ref)
            if seen.problem:
                if self._logged.refused.get(location) != seen.problem:
                    changes.append(Refused(location, ref, seen.problem))
                continue
            if location in self._logged.refused:
                changes.append(Admitted(location))
            changes += self._change(ref, seen.object, old)
        return changes

    def _change(self, ref: Ref, seen: Document | None, old: Document | None) -> list[Change]:
        if seen is None:
            is_answer = (ref.group, ref.kind) in ANSWERED and self._views.is_wanted(ref)
            is_told = (old is None) and (ref in self._logged.absent) == is_answer
            return [] if is_told else [Delete(ref, is_answer)]
        new = entering(ref, seen, old, self._sealer)
        return [Put(ref, new)] if new != old else []
