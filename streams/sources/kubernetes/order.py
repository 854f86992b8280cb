"""Holds what was seen until it may be told: a small reorder buffer, driven by the time that it is given.

Watches of different kinds are not ordered among one another. A route waits for the backends that it names, and what is
taken away waits for the routes that named it, at most 50 ms: correctness never depends on it, it spares wrong answers
in between. The states of an EndpointSlice are told 100 ms apart at least, the latest one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from engine.ref import Ref
from streams.sources.kubernetes.named import backends, has_endpoints, is_route, service_of
from streams.sources.kubernetes.neighbours import Neighbours
from streams.sources.kubernetes.observed import Observed

WAIT_SECONDS: Final = 0.05
CHURN_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Held:
    seen: Observed
    since: float
    named: frozenset[Ref] = frozenset()
    """Of a route, the backends; of an EndpointSlice, its Service."""


class Order:
    """`told` are the objects as they were told last; times are seconds of one clock that never goes back."""

    def __init__(self, told: Mapping[Ref, Mapping[str, Any]], neighbours: Neighbours) -> None:
        self._told = told
        self._neighbours = neighbours
        self._held: dict[Ref, _Held] = {}
        self._churned: dict[Ref, float] = {}
        """When slices were told that must not be told again yet."""
        self._slices: Counter[Ref] = Counter()
        """How many slices of a Service are held."""

    def put(self, ref: Ref, seen: Observed, now: float) -> None:
        """What was seen last counts; it waits since the first that was not told."""
        before = self._drop(ref)
        held = _Held(seen, before.since if before is not None else now, _named(ref, seen))
        self._held[ref] = held
        if ref.kind == "EndpointSlice":
            self._slices.update(held.named)

    def _drop(self, ref: Ref) -> _Held | None:
        held = self._held.pop(ref, None)
        if held is not None and ref.kind == "EndpointSlice":
            self._slices -= Counter(held.named)  # which keeps no zeros
        return held

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._held

    def refs(self) -> Iterator[Ref]:
        """What is held."""
        return iter(self._held)

    def take(self, now: float) -> dict[Ref, Observed]:
        """Let go what may be told now, in the order in which it must be: backends, routes, then what is taken away."""
        ready = [ref for ref in self._held if self._at(ref) <= now]
        taken = {ref: self._held[ref].seen for ref in sorted(ready, key=self._place)}
        for ref in taken:
            self._drop(ref)
        self._churned = {ref: at for ref, at in self._churned.items() if at + CHURN_SECONDS > now}
        self._churned |= {ref: now for ref in taken if ref.kind == "EndpointSlice"}
        return taken

    def take_all(self) -> dict[Ref, Observed]:
        """Let go everything, for what is told as a whole."""
        taken = {ref: self._held[ref].seen for ref in sorted(self._held)}
        self._held.clear()
        self._slices.clear()
        return taken

    def next(self) -> float:
        """When something may be told next: infinity when nothing is held."""
        return min(map(self._at, self._held), default=inf)

    def _place(self, ref: Ref) -> tuple[int, str, Ref]:
        seen = self._held[ref].seen
        if is_route(ref):
            return 1, seen.manager, ref
        return (2 if seen.object is None else 0), seen.manager, ref

    def _at(self, ref: Ref) -> float:
        held = self._held[ref]
        if is_route(ref):
            return self._route_at(held)
        if held.seen.object is None:
            return held.since + WAIT_SECONDS if self._is_still_named(ref, held) else held.since
        if ref.kind == "EndpointSlice" and ref in self._churned:
            return max(held.since, self._churned[ref] + CHURN_SECONDS)
        return held.since

    def _route_at(self, held: _Held) -> float:
        return held.since if all(map(self._is_there, held.named)) else held.since + WAIT_SECONDS

    def _is_there(self, backend: Ref) -> bool:
        service = self._current(backend)
        if service is None:
            return False
        if (backend.group, backend.kind) != ("", "Service") or not has_endpoints(service):
            return True
        return self._slices[backend] > 0 or any(map(self._current, self._neighbours.slices(backend)))

    def _current(self, ref: Ref) -> Mapping[str, Any] | None:
        held = self._held.get(ref)
        return held.seen.object if held is not None else self._told.get(ref)

    def _is_still_named(self, ref: Ref, held: _Held) -> bool:
        """Whether a route that was told names what is to be taken away, and no change of it can be told as well."""
        backend = self._neighbours.service(ref) if ref.kind == "EndpointSlice" else ref
        if backend is None:
            return False
        for route in self._neighbours.namers(backend):
            change = self._held.get(route)
            if change is None or self._route_at(change) > held.since:
                return True
        return False


def _named(ref: Ref, seen: Observed) -> frozenset[Ref]:
    if seen.object is None:
        return frozenset()
    if is_route(ref):
        return backends(ref, seen.object)
    service = service_of(ref, seen.object) if ref.kind == "EndpointSlice" else None
    return frozenset() if service is None else frozenset({service})
