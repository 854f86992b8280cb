"""HTTPRoutes and GRPCRoutes of one hostname on one listener: the oldest of one kind keeps the other kind away.

A route claims its hostnames, each under the wildcards above it too, so that one look finds the oldest rival.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.attachment import Parent, Served, Shared
from engine.resolve.route_kinds import ROUTE_KINDS
from engine.resolve.values import Problem

RIVAL: Final = "rival"
"""Claims of routes by (Rival)."""

Rank = tuple[str, str, Ref]
"""When a route was created, its namespace/name, and itself."""


class Rival(NamedTuple):
    """Routes of a kind on a listener, `below` a wildcard hostname or at a hostname ("*" for any)."""

    gateway: Ref
    listener: str
    kind: str
    hostname: str
    below: bool = False


def rank(created: str, route: Ref) -> Rank:
    """Sorts routes of any kind: the oldest first, then by namespace/name."""
    return created, f"{route.namespace}/{route.name}", route


def claims(key: Served, parent: Parent, mine: Rank) -> Iterator[tuple[str, Rival, Rank]]:
    """What a route claims where it stands."""
    for one in parent.shared:
        place = Rival(key.gateway, one.listener, key.route.kind, one.hostname)
        yield RIVAL, place, mine
        for above in _above(one.hostname):
            yield RIVAL, place._replace(hostname=above, below=True), mine


def unrivalled(graph: Reader, key: Served, parent: Parent, mine: Rank) -> Parent:
    """The parent without the listeners on which an older route of another kind has a hostname in common."""
    lost: dict[str, Rank] = {}
    for one in parent.shared:
        older = _older(graph, key, one, mine)
        if older is not None:
            lost[one.listener] = older
    if not lost:
        return parent
    left = tuple(one for one in parent.shared if one.listener not in lost)
    return replace(parent, shared=left, problem=parent.problem if left else _problem(lost))


def _older(graph: Reader, key: Served, one: Shared, mine: Rank) -> Rank | None:
    for kind, value in ROUTE_KINDS.items():
        if kind == key.route.kind or value.requests is None:
            continue
        place = Rival(key.gateway, one.listener, kind, one.hostname)
        places = [place, *(place._replace(hostname=above) for above in _above(one.hostname))]
        if one.hostname.startswith("*"):
            places.append(place._replace(below=True))
        firsts: list[Rank | None] = [graph.first(RIVAL, at) for at in places]
        if found := [first for first in firsts if first is not None and first < mine]:
            return min(found)
    return None


def _above(hostname: str) -> tuple[str, ...]:
    """The wildcards that cover a hostname, itself apart: a.b.c -> *.b.c, *.c, *; and *.b.c -> *.c, *."""
    if hostname == "*":
        return ()
    labels = hostname.removeprefix("*.").split(".")
    return (*(f"*.{'.'.join(labels[at:])}" for at in range(1, len(labels))), "*")


def _problem(lost: dict[str, Rank]) -> Problem:
    told = "; ".join(
        f"{other.kind} {name} on listener {listener}" for listener, (_, name, other) in sorted(lost.items())
    )
    return Problem(
        "HostnameConflict", f"an older route of another kind has a hostname in common: {told}: use another hostname"
    )
