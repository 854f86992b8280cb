"""Ports of the address that all Gateways may share: who wants one, and which of then a pinned Gateway cannot have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.gateway import Attached, age, entries, gateway_of_set, gateway_spec, is_allowed
from engine.resolve.indexes import PORTS, places
from engine.resolve.manifest import served_object
from engine.resolve.values import Problem

Place = tuple[str, int]
"""A transport and a port."""
TAKEN: Final = "taken_ports"
"""The fact that says which places are others', in the reading of a pinned Gateway, which sees no others: by place."""


class Claims(NamedTuple):
    """Key of `holders`: places, and the Gateways that do not have them though they are the first who want them now."""

    places: frozenset[Place]
    pinned: frozenset[Ref]


def clash(graph: Reader, gateway: Ref, place: Place) -> Problem | None:
    """Why a Gateway cannot have a place: of those who want it the oldest has it."""
    taken = graph.fact(TAKEN)
    if taken is not None:
        return _gone(taken[place], place) if place in taken else None
    mine = graph.get(age, gateway)
    for other in _who_wants(graph, place, gateway):
        if graph.get(age, other) < mine:
            return Problem(
                "PortUnavailable",
                f"port {place[1]} belongs to Gateway {other.namespace}/{other.name}, which is older, and all "
                "Gateways share one address: use another port",
            )
    return None


def wanted_places(graph: Reader, gateway: Ref) -> frozenset[Place]:
    """The places of all listeners of a Gateway."""
    found = graph.get(entries, gateway) or ()
    return frozenset(places({"spec": {"listeners": [one.item for one in found]}}))


def holders(graph: Reader, key: Claims) -> dict[Place, Ref]:
    """Who has some places now, of the Gateways that are not pinned."""
    first = {
        place: min(_who_wants(graph, place), key=lambda one: graph.get(age, one), default=None) for place in key.places
    }
    return {place: one for place, one in sorted(first.items()) if one is not None and one not in key.pinned}


def served_places(graph: Reader, key: Attached) -> frozenset[Place]:
    """The places of the listeners of a Gateway, or of a ListenerSet of it, as it is served."""
    return frozenset(places(served_object(graph, key.gateway, key.set)))


def _who_wants(graph: Reader, place: Place, but: Ref | None = None) -> Iterator[Ref]:
    for source in graph.find(PORTS, place):
        gateway = source if source.kind == "Gateway" else graph.get(gateway_of_set, source)
        if gateway is None or gateway == but or graph.get(gateway_spec, gateway) is None:
            continue
        if source != gateway and not graph.get(is_allowed, Attached(gateway, source)):
            continue
        if place in graph.get(served_places, Attached(gateway, source)):
            yield gateway


def _gone(to: Ref, place: Place) -> Problem:
    return Problem(
        "PortUnavailable",
        f"port {place[1]} belongs to Gateway {to.namespace}/{to.name} now, and all Gateways share one address: "
        "have that one use another port, or end the pin",
    )
