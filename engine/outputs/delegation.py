"""What comes down to the routes that others delegate to: their Envoy routes, and what both sides are told.

A way exists as long as its rules do. It never leads to a route twice, so that nothing holds itself up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from engine.graph.reader import Outputs, Reader
from engine.outputs.attached import standing
from engine.outputs.backend import backend_broken
from engine.outputs.channels import (
    AROUND,
    BACKEND,
    CREDENTIAL,
    DELEGATED,
    LEG,
    OPEN,
    REACHED,
    STANDING,
    TAKEN,
    WAYS,
    Arrival,
    Leg,
    Taken,
    Used,
)
from engine.outputs.entries import Origin, entries, leaves_all, named_by, stood_by, used_by
from engine.outputs.policies import Inherited, Priority, with_those_above
from engine.ref import Ref
from engine.resolve.attachment import Served
from engine.resolve.delegation import (
    MOST_MATCHES,
    MOST_WAYS,
    Lineage,
    Pair,
    cyclic,
    delegatee,
    depth,
    extended,
    lets_in,
    lineage,
    misplaced,
    named,
    opened,
    pairs,
    selected,
    selections,
    told,
    unreachable,
)
from engine.resolve.manifest import object_of
from engine.resolve.policy import Block
from engine.resolve.rule import ResolvedRoute, resolved_route
from engine.resolve.values import Problem
from engine.resolve.way import Selection, Step, Way

Claim = tuple[str, Hashable, Any]
Count = tuple[str, Hashable]


@dataclass(frozen=True, slots=True)
class Offers:
    """What a route's rules delegate, and which of them, by position, name what nobody takes."""

    claims: tuple[Claim, ...] = ()
    counts: tuple[Count, ...] = ()
    problems: tuple[Problem, ...] = ()
    failing: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Down:
    """What comes down to a route: its matches that it reaches, and the way, None for straight, with its rules."""

    resolved: ResolvedRoute
    made: tuple[Pair, ...]
    way: Way | None = None
    above: Lineage = Lineage((), ())


def offers(graph: Reader, key: Served, down: Down) -> Offers:
    """Of a route as a Gateway is served it."""
    coming = {one.rule for one in down.made}
    before = frozenset(one for above in down.above.above for one in above.rule.delegates)
    found = [
        (number, _offered(graph, extended(down.way, key.gateway, key.route, number), one, before))
        for number, item in opened(down.resolved)
        if number in coming
        for one in item.rule.delegates
    ]
    return Offers(
        tuple(dict.fromkeys(claim for _, one in found for claim in one.claims)),
        tuple(dict.fromkeys(count for _, one in found for count in one.counts)),
        tuple(one.problem for _, one in found if one.problem is not None),
        frozenset(number for number, one in found if not one.is_taken),
    )


class _Offered(NamedTuple):
    """What one selection puts into an output, what is told of it, and whether anybody takes what is offered."""

    claims: tuple[Claim, ...] = ()
    counts: tuple[Count, ...] = ()
    problem: Problem | None = None
    is_taken: bool = False


def _offered(graph: Reader, on: Way, one: Selection, before: frozenset[Selection]) -> _Offered:
    """`before` is what rules above it delegate to."""
    child = selected(one)
    if child is None and one in before:
        # All that it selects is there already; and through routes that all select all others there is no end of ways.
        text = f"cyclic reference: a rule that leads to this route delegates to {told(one)} already: delegate to others"
        return _Offered(problem=Problem("RefNotPermitted", text))
    is_taken = graph.first(TAKEN, Taken(on, one)) is not None
    if child is None:
        problem = _looping(graph, on, one, alone=not is_taken)
        if problem is None and not is_taken:
            remedy = "let one be there, and see the statuses of those that are"
            problem = Problem("BackendNotFound", f"of {told(one)} none takes requests from this route: {remedy}")
        return _Offered(((OPEN, one, depth(on)),), (), problem, is_taken)
    key = Served(on.gateway, child)
    problem = unreachable(on, child, graph.get(delegatee, key))
    if problem is not None:
        return _Offered(problem=problem)
    if not is_taken:
        problem = Problem("BackendNotFound", f"{told(one)} takes no requests from this route: see its status")
    return _Offered(((WAYS, key, depth(on)),), ((DELEGATED, key),), problem, is_taken)


def _looping(graph: Reader, on: Way, one: Selection, *, alone: bool) -> Problem | None:
    """A route may be among those that it selects with others: that is told only where there are none."""
    parent = on.steps[-1].route
    for route in dict.fromkeys(step.route for step in on.steps):
        if one in graph.get(memberships, route) and (alone or route != parent):
            found = graph.get(delegatee, Served(on.gateway, route))
            if found is not None and lets_in(found, parent):
                return cyclic(on, route)
    return None


def standing_pairs(made: Iterable[Pair], failing: frozenset[int]) -> tuple[Pair, ...]:
    """The matches that stand themselves: of a rule that delegates all it has, only what answers for what is missing."""
    found = []
    for one in made:
        alone = replace(one.does, delegates=(), mirrors=() if leaves_all(one.does) else one.does.mirrors)
        if not leaves_all(one.does):
            found.append(one._replace(does=alone) if one.does.delegates else one)
        elif one.rule in failing:
            found.append(one._replace(does=alone, is_last=True))
    return tuple(found)


def memberships(graph: Reader, ref: Ref) -> tuple[Selection, ...]:
    """What selects a route with others; whatever else changes in it stops here."""
    return selections(ref, object_of(graph, ref))


def selecting(graph: Reader, ref: Ref) -> tuple[Count, ...]:
    """Counts what selects a route with others, once for each Gateway."""
    ways = [way for one in selections(ref, object_of(graph, ref)) for _, way in graph.claimed(OPEN, one)]
    return tuple(dict.fromkeys((DELEGATED, Served(way.gateway, ref)) for way in ways))


def delegatee_outputs(graph: Reader, key: Served) -> Outputs:
    """The ways on which requests of a Gateway come to a route that rules delegate to."""
    found = graph.get(delegatee, key)
    if found is None:
        return Outputs()
    ways: dict[Way, list[Selection]] = {}
    for _, way in graph.claimed(WAYS, key):
        ways.setdefault(way, []).append(named(key.route))
    for one in graph.get(memberships, key.route):
        for _, way in graph.claimed(OPEN, one):
            if way.gateway == key.gateway:
                ways.setdefault(way, []).append(one)
    coming = [way for way in sorted(ways, key=depth) if unreachable(way, key.route, found) is None]
    counts: list[Count] = []
    claims: list[Claim] = []
    begun: Counter[Step] = Counter()
    for way in coming:
        begun[way.steps[0]] += 1
        if begun[way.steps[0]] > MOST_WAYS + 1:
            continue  # told once
        problem = misplaced(way, found) or _too_many(begun[way.steps[0]])
        if problem is None:
            counts.append((LEG, Leg(way, key.route)))
            claims += [(TAKEN, Taken(way, one), key.route) for one in ways[way]]
        else:
            claims.append(_refusal(way, key.route, problem))
    return Outputs((), tuple(counts), tuple(claims))


def _too_many(number: int) -> Problem | None:
    if number <= MOST_WAYS:
        return None
    text = f"more than {MOST_WAYS} ways lead to this route from one rule: the others are not served: use fewer"
    return Problem("UnsupportedValue", text)


def _refusal(way: Way, child: Ref, problem: Problem) -> Claim:
    return REACHED, child, Arrival(way.steps[-1].route, way, refused=_plain([problem]))


def leg_outputs(graph: Reader, key: Leg) -> Outputs:
    """What a way gives the route that it leads to."""
    served = Served(key.way.gateway, key.child)
    resolved, above = graph.get(resolved_route, served), graph.get(lineage, key.way)
    takes = graph.get(delegatee, served)
    if resolved is None or above is None or takes is None:
        return Outputs()
    made = pairs(above, resolved, inherits=takes.inherits)
    problem = _unusable(key.way, made)
    if problem is not None:
        return Outputs((), (), (_refusal(key.way, key.child, problem),))
    return _leg(graph, key, Down(resolved, made, key.way, above))


def _unusable(way: Way, made: Sequence[Pair]) -> Problem | None:
    parent = way.steps[-1].route
    name = f"HTTPRoute {parent.namespace}/{parent.name}"
    if not made:
        text = f"no match is within those of {name}: begin the paths with its own, and repeat its headers and the like"
        return Problem("NoMatchingParent", text)
    if len(made) > MOST_MATCHES:
        text = f"its matches with those of {name} are {len(made)}, more than {MOST_MATCHES}: use fewer"
        return Problem("UnsupportedValue", text)
    return None


def _leg(graph: Reader, key: Leg, down: Down) -> Outputs:
    served, resolved = Served(key.way.gateway, key.child), down.resolved
    offered = offers(graph, served, down)
    final = standing_pairs(down.made, offered.failing)
    stands = graph.get(standing, Served(key.way.gateway, key.way.steps[0].route))
    sources = {(one.route, one.generation) for one in down.above.above} | {(key.child, resolved.generation)}
    above = [Inherited(one.blocks, Priority(one.prefers, one.deep)) for one in down.above.above]
    final = below(graph, key.way.gateway, above, final)
    emitted = entries(graph, Origin(served, resolved, tuple(sorted(sources)), key.way), stands, final)
    asked = dict.fromkeys([*used_by(final), *(backend for one in emitted for backend in one.backends)])
    used = [Used(served.gateway, one) for one in asked] if stands else []
    broken = [problem for one in used if (problem := backend_broken(graph, one)) is not None]
    verdict = resolved.verdict
    arrival = Arrival(
        key.way.steps[-1].route,
        key.way,
        _plain(verdict.refused),
        _plain([*verdict.unresolved, *offered.problems, *broken]),
        _plain([*verdict.partly, *(one.broken for one in emitted if one.broken is not None)]),
        tuple(sorted({(one.rule, one.position) for one in down.made})),
    )
    return Outputs(
        tuple(one.item for one in emitted if one.item is not None),
        (
            *offered.counts,
            *((BACKEND, one) for one in used),
            *((AROUND, one) for one in dict.fromkeys(around for one in emitted for around in one.around)),
            *named_by(served.gateway, (one.does for one in final if stands)),
            *((CREDENTIAL, one) for one in dict.fromkeys(named for one in emitted for named in one.credentials)),
            *((STANDING, one) for one in stood_by(graph, served, resolved, stands, above)),
        ),
        (*offered.claims, (REACHED, key.child, arrival)),
    )


def below(graph: Reader, gateway: Ref, above: Sequence[Inherited], made: Iterable[Pair]) -> tuple[Pair, ...]:
    """The matches with the policies' blocks of the rules that delegate to them."""
    if not any(one.blocks for one in above):
        return tuple(made)
    known: dict[tuple[Block, ...], tuple[Block, ...]] = {}
    found = []
    for one in made:
        if one.blocks not in known:
            known[one.blocks] = with_those_above(graph, gateway, above, one.blocks)
        found.append(one._replace(blocks=known[one.blocks]))
    return tuple(found)


def _plain(problems: Iterable[Problem]) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys((one.reason, one.message) for one in problems))
