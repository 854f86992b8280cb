"""Which routes name which backends, and which Services have endpoints, as far as it is known; it decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from engine.events import Change, Delete, Put
from engine.ref import Ref
from streams.sources.kubernetes.named import backends, is_route, service_of


class Neighbours:
    """Follows the objects of a cluster; one change costs what it names."""

    def __init__(self, objects: Mapping[Ref, Mapping[str, Any]]) -> None:
        self._named: dict[Ref, frozenset[Ref]] = {}
        self._namers: defaultdict[Ref, set[Ref]] = defaultdict(set)
        self._services: dict[Ref, Ref] = {}
        self._slices: defaultdict[Ref, set[Ref]] = defaultdict(set)
        for ref, object_ in objects.items():
            self._put(ref, object_)

    def take(self, changes: Iterable[Change]) -> None:
        """Follow changes that were written."""
        for change in changes:
            if isinstance(change, Put | Delete) and (is_route(change.ref) or change.ref.kind == "EndpointSlice"):
                self._forget(change.ref)
                if isinstance(change, Put):
                    self._put(change.ref, change.object)

    def namers(self, backend: Ref) -> Iterable[Ref]:
        """The routes that name a backend."""
        return self._namers.get(backend, ())

    def slices(self, service: Ref) -> Iterable[Ref]:
        """The EndpointSlices of a Service."""
        return self._slices.get(service, ())

    def service(self, slice_: Ref) -> Ref | None:
        """The Service of an EndpointSlice."""
        return self._services.get(slice_)

    def _put(self, ref: Ref, object_: Mapping[str, Any]) -> None:
        if is_route(ref):
            self._named[ref] = backends(ref, object_)
            for one in self._named[ref]:
                self._namers[one].add(ref)
        elif ref.kind == "EndpointSlice" and (service := service_of(ref, object_)) is not None:
            self._services[ref] = service
            self._slices[service].add(ref)

    def _forget(self, ref: Ref) -> None:
        for one in self._named.pop(ref, ()):
            _discard(self._namers, one, ref)
        if (service := self._services.pop(ref, None)) is not None:
            _discard(self._slices, service, ref)


def _discard(index: defaultdict[Ref, set[Ref]], key: Ref, ref: Ref) -> None:
    index[key].discard(ref)
    if not index[key]:
        del index[key]
