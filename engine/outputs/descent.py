"""What a route is told of the routes that delegate to it, and of those that it names and that do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from engine.graph.reader import Reader
from engine.outputs.attached import standing
from engine.outputs.channels import REACHED, Arrival
from engine.ref import Ref
from engine.resolve.attachment import Parent, Served, parent_gateways, parent_source
from engine.resolve.delegation import http_parents
from engine.resolve.manifest import items, object_of, spec_of
from engine.resolve.rule import ResolvedRoute, resolved_route
from engine.resolve.values import Problem, Verdict
from engine.resolve.way import Way

_AWAY: Final = "NoMatchingParent"


class Descent(NamedTuple):
    """What a parent gives a route, all its ways together; `problem` when it gives nothing."""

    problem: Problem | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Descents:
    """By parent; of every way, and which of the route's matches, (rule, match), stand on one of them."""

    parents: Mapping[Ref, Descent]
    ways: tuple[Way, ...]
    matches: frozenset[tuple[int, int]]

    def resolved(self, graph: Reader, ref: Ref) -> ResolvedRoute | None:
        """The route as the first Gateway from which requests come is served it."""
        return graph.get(resolved_route, Served(self.ways[0].gateway, ref)) if self.ways else None

    def hostnames(self, graph: Reader) -> set[str]:
        """Those of the routes where the ways begin."""
        begins = dict.fromkeys(Served(way.gateway, way.steps[0].route) for way in self.ways)
        return {one.place.hostname for key in begins for one in graph.get(standing, key)}


def descents(graph: Reader, ref: Ref) -> Descents:
    """All that comes to a route."""
    arrivals: tuple[Arrival, ...] = graph.claimed(REACHED, ref)
    of: dict[Ref, list[Arrival]] = {}
    for one in arrivals:
        of.setdefault(one.parent, []).append(one)
    return Descents(
        {parent: _descent(mine) for parent, mine in sorted(of.items())},
        tuple(one.way for one in arrivals if not one.refused),
        frozenset(at for one in arrivals for at in one.matches),
    )


def _descent(mine: Iterable[Arrival]) -> Descent:
    """Of ways that lead nowhere only when all do, or when it is the route's own doing."""
    every = list(mine)
    refused = list(dict.fromkeys(one for arrival in every for one in arrival.refused))
    verdict = Verdict(
        _problems(one for arrival in every for one in arrival.unresolved),
        (),
        _problems(one for arrival in every for one in arrival.partly),
    )
    if all(arrival.refused for arrival in every):
        return Descent(Problem(refused[0][0], "; ".join(text for _, text in refused)), verdict)
    left = _problems(one for one in refused if one[0] != _AWAY)
    return Descent(None, replace(verdict, partly=(*verdict.partly, *left)))


def _problems(told: Iterable[tuple[str, str]]) -> tuple[Problem, ...]:
    return tuple(Problem(*one) for one in dict.fromkeys(told))


def told(graph: Reader, ref: Ref, below: Descents, *, is_attached: bool) -> dict[Ref, tuple[Parent, Verdict]]:
    """What stands in the entry of each parent; of matches that stand nowhere at all each of them tells."""
    found = {parent: (Parent(-1, one.problem), one.verdict) for parent, one in below.parents.items()}
    if is_attached:
        return found
    lost = tuple(_lost(below.resolved(graph, ref), below.matches))
    return {
        parent: (one, verdict if one.problem is not None else replace(verdict, partly=(*verdict.partly, *lost)))
        for parent, (one, verdict) in found.items()
    }


def _lost(resolved: ResolvedRoute | None, stand: frozenset[tuple[int, int]]) -> Iterator[Problem]:
    """Worded as the Gateway API wants it (RouteConditionPartiallyInvalid: it starts with "Dropped Rule")."""
    remedy = "is within no match of a route that delegates to this one: begin its path with theirs"
    for number, item in enumerate(resolved.rules if resolved is not None else ()):
        missing = [at for at in range(len(item.matches)) if (number, at) not in stand]
        if item.matches and len(missing) == len(item.matches):
            yield Problem("UnsupportedValue", f"Dropped Rule: spec.rules[{number}] {remedy}")
            continue
        for at in missing:
            yield Problem("UnsupportedValue", f"spec.rules[{number}].matches[{at}] {remedy}")


def unreached(graph: Reader, ref: Ref, below: Descents) -> dict[int, Parent]:
    """Of parentRefs that name an HTTPRoute from which nothing comes: why, unless that one is another's business."""
    found = {}
    for number, parent in http_parents(ref, object_of(graph, ref)):
        if parent not in below.parents:
            problem = _orphaned(graph, parent)
            if problem is not None:
                found[number] = Parent(number, problem)
    return found


def _orphaned(graph: Reader, parent: Ref) -> Problem | None:
    name = f"HTTPRoute {parent.namespace}/{parent.name}"
    object_ = object_of(graph, parent)
    if object_ is None:
        return Problem(_AWAY, f"{name} does not exist, or was refused")
    if is_ours(graph, parent):
        text = f"no rule of {name} that is served leads to this route: name it in its backendRefs, or see its status"
        return Problem(_AWAY, text)
    refs = items(spec_of(object_).get("parentRefs"))
    if any(parent_source(parent, one) is not None for one in refs):
        return None
    return Problem(_AWAY, f"{name} is attached to no Gateway, and nothing that is delegates to it: see its parentRefs")


def is_ours(graph: Reader, route: Ref) -> bool:
    """Whether a Gateway of ours has to do with a route, itself or by others that delegate to it."""
    return bool(graph.get(parent_gateways, route) or graph.claimed(REACHED, route))
