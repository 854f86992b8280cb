"""EndpointSlices: the addresses of a named port, those that are ready apart from those that still serve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.endpoint import Endpoint
from engine.resolve.manifest import items, mapping, object_of


class Found(NamedTuple):
    """Addresses that are ready, and those that still serve while they end."""

    ready: frozenset[Endpoint]
    ending: frozenset[Endpoint]


def found(graph: Reader, slices: Iterable[Ref], port: str, held: frozenset[Ref] = frozenset()) -> Found:
    """What slices have for a port's name; of those `held` only what stood in their last good revision already."""
    ready: set[Endpoint] = set()
    ending: set[Endpoint] = set()
    for slice_ in slices:
        allowed = _good(graph, slice_, port) if slice_ in held else None
        for item, number in _members(object_of(graph, slice_), port):
            into = _state(mapping(item.get("conditions")), ready, ending)
            if into is not None:
                into.update(one for one in _addresses(item, number) if allowed is None or one in allowed)
    return Found(frozenset(ready), frozenset(ending))


def once(some: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Each address once, sorted.

    One may stand in several slices while they change (EndpointSlice of discovery/v1): it is one endpoint.
    """
    ordered = sorted(some, key=lambda end: (end.priority, end.place, end.address, end.port, end.hostname), reverse=True)
    known = {(end.address, end.port): end for end in ordered}
    return tuple(sorted(known.values(), key=lambda end: (end.priority, end.place, end.address, end.port)))


def _members(slice_: Json | None, port: str) -> list[tuple[Json, int]]:
    """The endpoints of a slice, each with the number of a named port."""
    number = None if slice_ is None or slice_.get("addressType") == "FQDN" else _slice_port(slice_, port)
    return [(item, number) for item in items(slice_.get("endpoints"))] if slice_ is not None and number else []


def _good(graph: Reader, slice_: Ref, port: str) -> set[Endpoint]:
    resource = graph.read(slice_)
    previous = resource.previous if resource is not None else None
    return {end for item, number in _members(previous, port) for end in _addresses(item, number)}


def _slice_port(object_: Json, name: str) -> int | None:
    for port in items(object_.get("ports")):
        number = port.get("port")
        if str(port.get("name") or "") == name and isinstance(number, int):
            return number
    return None


def _state(conditions: Json, ready: set[Endpoint], ending: set[Endpoint]) -> set[Endpoint] | None:
    """Absent `ready` counts as ready (EndpointConditions of discovery/v1)."""
    if conditions.get("ready") in (None, True):
        return ready
    return ending if conditions.get("serving") is True and conditions.get("terminating") is True else None


def _addresses(item: Json, port: int) -> list[Endpoint]:
    addresses = item.get("addresses")
    zone, hostname = str(item.get("zone") or ""), str(item.get("hostname") or "")
    # Consumers use the first address only (Endpoint.addresses of discovery/v1).
    return [Endpoint(str(address), port, zone, hostname) for address in list(addresses or ())[:1]]
