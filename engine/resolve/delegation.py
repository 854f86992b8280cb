"""Delegation: what a rule of an HTTPRoute leaves to other HTTPRoutes, and what comes down to one of those.

Nobody lists all of a parent's children: a child finds the ways that lead to it (docs/decisions/0030-delegation.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.attachment import Served
from engine.resolve.conformity import below, conforms, relative
from engine.resolve.inheritance import inherited, placed
from engine.resolve.manifest import GATEWAY_API, items, labels_of, mapping, metadata_of, served_object, spec_of
from engine.resolve.policy import Block
from engine.resolve.rule import ResolvedRoute, ResolvedRule, resolved_route
from engine.resolve.values import Match, Problem, Rule
from engine.resolve.way import Group, Selection, Step, Way

LABEL: Final = "delegation.kgateway.dev/label"
INHERITS: Final = "delegation.kgateway.dev/inherit-parent-matcher"
PRIORITY: Final = "kgateway.dev/inherited-policy-priority"
KIND: Final = "HTTPRoute"

DEEPEST: Final = 16
"""Rules on a way."""
MOST_WAYS: Final = 16
"""From one rule to a route: routes that delegate to one another in all ways there are would be endless else."""
MOST_MATCHES: Final = 1024
"""Of a route on one way."""


class Rules(NamedTuple):
    """Key of `delegating`: a rule of a route as a Gateway is served it."""

    served: Served
    rule: int


@dataclass(frozen=True, slots=True)
class Above:
    """A rule that delegates, of the revision that is served.

    `prefers`: what it says goes before what is below it. `deep`: of policies what can be merged of both is.
    """

    route: Ref
    generation: int
    index: int
    rule: Rule
    matches: tuple[Match, ...]
    blocks: tuple[Block, ...]
    inherits: bool
    prefers: bool
    deep: bool


class Reached(NamedTuple):
    """What a way lets through: a match, made `at` which match of each of its rules."""

    match: Match
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lineage:
    """The rules of a way, from the first on, and what they let through together."""

    above: tuple[Above, ...]
    matches: tuple[Reached, ...]


@dataclass(frozen=True, slots=True)
class Delegatee:
    """What parents have to know of a route. `parents` are the HTTPRoutes that it names; None lets in any."""

    parents: frozenset[Ref] | None
    has_hostnames: bool
    inherits: bool


class Pair(NamedTuple):
    """A match of a rule as it stands on a way, and what happens to what it chose."""

    rule: int
    position: int
    match: Match
    does: Rule
    blocks: tuple[Block, ...] = ()
    at: tuple[int, ...] = ()
    is_last: bool = False
    """Behind all others that match as well: it stands in for what is not there."""


def selections(ref: Ref, object_: Json | None) -> tuple[Selection, ...]:
    """What selects a route with others: its namespace, and its label there and anywhere."""
    found = [Selection(Group.NAMESPACE, ref.cluster, ref.namespace)]
    label = labels_of(object_).get(LABEL)
    if label:
        found += [Selection(Group.LABEL, ref.cluster, namespace, label) for namespace in (ref.namespace, "")]
    return tuple(found)


def named(ref: Ref) -> Selection:
    """What selects a route alone."""
    return Selection(Group.NAME, ref.cluster, ref.namespace, ref.name)


def selected(one: Selection) -> Ref | None:
    """The route that is selected alone; None for those that select several."""
    return Ref(one.cluster, GATEWAY_API, KIND, one.namespace, one.name) if one.by is Group.NAME else None


def told(one: Selection) -> str:
    """A selection in words."""
    if one.by is Group.NAME:
        return f"HTTPRoute {one.namespace}/{one.name}"
    if one.by is Group.NAMESPACE:
        return f"HTTPRoutes of namespace {one.namespace}"
    where = f"of namespace {one.namespace}" if one.namespace else "of any namespace"
    return f"HTTPRoutes {where} with label {LABEL}={one.name}"


def http_parents(route: Ref, object_: Json | None) -> tuple[tuple[int, Ref], ...]:
    """The HTTPRoutes that parentRefs name, with their positions; group and kind have to be written out."""
    found = []
    for number, one in enumerate(items(spec_of(object_).get("parentRefs"))):
        if (one.get("group"), one.get("kind")) == (GATEWAY_API, KIND):
            namespace = str(one.get("namespace") or route.namespace)
            found.append((number, Ref(route.cluster, GATEWAY_API, KIND, namespace, str(one.get("name", "")))))
    return tuple(found)


def delegatee(graph: Reader, key: Served) -> Delegatee | None:
    """A route as those that delegate to it see it; None when it is absent, or was never taken."""
    object_ = served_object(graph, key.gateway, key.route)
    if object_ is None:
        return None
    spec = spec_of(object_)
    parents = frozenset(ref for _, ref in http_parents(key.route, object_)) if items(spec.get("parentRefs")) else None
    return Delegatee(parents, bool(spec.get("hostnames")), _is_on(object_, INHERITS, ("true", "yes", "enabled")))


def _is_on(object_: Json, annotation: str, words: tuple[str, ...]) -> bool:
    return str(mapping(metadata_of(object_).get("annotations")).get(annotation, "")).lower() in words


def unreachable(way: Way, child: Ref, found: Delegatee | None) -> Problem | None:
    """Why requests do not come to a route on a way; of one that has hostnames `misplaced` tells."""
    name = f"HTTPRoute {child.namespace}/{child.name}"
    if any(step.route == child for step in way.steps):
        return cyclic(way, child)
    if found is None:
        return Problem("BackendNotFound", f"{name} does not exist, or was refused")
    if not lets_in(found, way.steps[-1].route):
        text = f"{name} has parentRefs that do not name this route: add it there, or remove them"
        return Problem("BackendNotFound", text)
    return None


def lets_in(found: Delegatee, parent: Ref) -> bool:
    """Whether a route may be delegated to by another."""
    return found.parents is None or parent in found.parents


def cyclic(way: Way, route: Ref) -> Problem:
    """What is told of a rule, the last of a way, that delegates to a route on the same way."""
    name = f"HTTPRoute {route.namespace}/{route.name} leads to this route already"
    if route == way.steps[-1].route:
        name = "this route delegates to itself"
    return Problem("RefNotPermitted", f"cyclic reference: {name}: delegate to another")


def misplaced(way: Way, found: Delegatee) -> Problem | None:
    """What a route is told that is named as a child and cannot be one."""
    if found.has_hostnames:
        text = (
            "spec.hostnames must be unset on a delegatee route as they are inherited from the parent route: remove them"
        )
        return Problem("UnsupportedValue", text)
    if len(way.steps) > DEEPEST:
        return Problem("UnsupportedValue", f"more than {DEEPEST} rules delegate on the way to this route: use fewer")
    return None


def delegating(graph: Reader, key: Rules) -> Above | None:
    """A rule that delegates; None when the route is absent, or the rule does not."""
    resolved = graph.get(resolved_route, key.served)
    object_ = served_object(graph, *key.served)
    if resolved is None or object_ is None or key.rule >= len(resolved.rules):
        return None
    found = resolved.rules[key.rule]
    if not found.rule.delegates:
        return None
    inherits = _is_on(object_, INHERITS, ("true", "yes", "enabled"))
    prefers = _is_on(object_, PRIORITY, ("shallowmergepreferparent", "deepmergepreferparent"))
    deep = _is_on(object_, PRIORITY, ("deepmergepreferchild", "deepmergepreferparent"))
    return Above(
        key.served.route,
        resolved.generation,
        key.rule,
        found.rule,
        found.matches,
        found.blocks,
        inherits,
        prefers,
        deep,
    )


def lineage(graph: Reader, key: Way) -> Lineage | None:
    """What comes down a way; None when one of its rules is not there any more."""
    *before, last = key.steps
    found = graph.get(delegating, Rules(Served(key.gateway, last.route), last.rule))
    if found is None:
        return None
    if not before:
        return Lineage((found,), tuple(Reached(one, (at,)) for at, one in enumerate(found.matches)))
    above = graph.get(lineage, Way(key.gateway, tuple(before)))
    if above is None:
        return None
    matches = tuple(
        Reached(match, (*one.at, at))
        for at, own in enumerate(found.matches)
        for one in above.matches
        if (match := _met(one.match, own, inherits=found.inherits)) is not None
    )
    return Lineage((*above.above, found), matches)


def _met(parent: Match, child: Match, *, inherits: bool) -> Match | None:
    if inherits:
        return relative(parent, child)
    return below(parent, child) if conforms(parent, child) else None


def pairs(found: Lineage, resolved: ResolvedRoute, *, inherits: bool) -> tuple[Pair, ...]:
    """Every match of a route with every match that leads to it and that it stays within."""
    above = [(one.rule, one.prefers) for one in found.above]
    made = []
    for number, item in enumerate(resolved.rules):
        does = inherited(above, item.rule)
        for index, own in enumerate(item.matches):
            for one in found.matches:
                match = _met(one.match, own, inherits=inherits)
                if match is not None:
                    made.append(Pair(number, index, match, placed(does, match), item.blocks, one.at))
    return tuple(made)


def own_pairs(resolved: ResolvedRoute) -> tuple[Pair, ...]:
    """Every match of a route by itself."""
    return tuple(
        Pair(number, index, match, item.rule, item.blocks)
        for number, item in enumerate(resolved.rules)
        for index, match in enumerate(item.matches)
    )


def opened(resolved: ResolvedRoute) -> tuple[tuple[int, ResolvedRule], ...]:
    """The rules that delegate, with their positions."""
    return tuple((number, item) for number, item in enumerate(resolved.rules) if item.rule.delegates)


def extended(way: Way | None, gateway: Ref, route: Ref, rule: int) -> Way:
    """A way one rule further."""
    return Way(gateway, (*(way.steps if way is not None else ()), Step(route, rule)))


def depth(way: Way) -> tuple[int, Way]:
    """Sorts ways: what is nearer to the Gateway first."""
    return len(way.steps), way
