"""Where a route that takes requests stands: the virtual hosts of its parentRefs, less those that others have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.graph.reader import Reader
from engine.outputs.channels import Host
from engine.outputs.entries import Stand
from engine.outputs.gateway import host_broken
from engine.outputs.rivals import Rank, rank, unrivalled
from engine.ref import Ref
from engine.resolve.attachment import Parent, Served, attachments
from engine.resolve.listener import listeners
from engine.resolve.rule import resolved_route


def wanted(graph: Reader, key: Served, mine: Rank) -> list[Parent]:
    """The parents, without listeners of older routes of another kind."""
    return [unrivalled(graph, key, parent, mine) for parent in graph.get(attachments, key)]


def reachable(graph: Reader, gateway: Ref, parent: Parent) -> Parent:
    """Without the virtual hosts that Envoy would not take."""
    against = {place: host_broken(graph, Host(gateway, *place)) for place in parent.placements}
    problems = [one for one in against.values() if one is not None]
    if not problems:
        return parent
    left = tuple(
        one if one.placement is None or against[one.placement] is None else one._replace(placement=None)
        for one in parent.shared
    )
    if not any(one.placement is not None for one in left):
        return replace(parent, shared=left, problem=problems[0])
    return replace(parent, shared=left, left_out=tuple(problems))


def stands(graph: Reader, gateway: Ref, parents: Iterable[Parent]) -> tuple[Stand, ...]:
    """The virtual hosts of parents, sorted."""
    ports = {one.route_config: one.port for one in graph.get(listeners, gateway) or ()}
    places = sorted({place for parent in parents for place in parent.placements})
    return tuple(Stand(place, ports[place.route_config]) for place in places)


def standing(graph: Reader, key: Served) -> tuple[Stand, ...]:
    """The virtual hosts that a route stands in, for those that it delegates to."""
    resolved = graph.get(resolved_route, key)
    if resolved is None:
        return ()
    parents = wanted(graph, key, rank(resolved.created, key.route))
    return stands(graph, key.gateway, [reachable(graph, key.gateway, one) for one in parents])
