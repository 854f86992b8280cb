"""Routes that take connections or datagrams whole, resolved: where they go, and what stands against it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.graph.reader import Json, Reader
from engine.resolve.attachment import Served
from engine.resolve.backend_ref import referenced
from engine.resolve.held import fall_back
from engine.resolve.manifest import created, held_fact, items, metadata_of, served_object, spec_of
from engine.resolve.route_kinds import ROUTE_KINDS
from engine.resolve.values import Destination, Problem, Verdict


@dataclass(frozen=True, slots=True)
class ResolvedStream:
    """The one rule of a route that is served."""

    destinations: tuple[Destination, ...]
    verdict: Verdict
    created: str
    generation: int


def resolved_stream(graph: Reader, key: Served) -> ResolvedStream | None:
    """The route as one Gateway is served it; None when it is absent."""
    object_ = served_object(graph, key.gateway, key.route)
    resource = graph.read(key.route)
    if object_ is None or resource is None:
        return None
    held = bool(graph.fact(held_fact(key.gateway, key.route)))
    age, generation = created(object_), int(metadata_of(object_).get("generation") or 0)
    if held and resource.previous is None:
        text = "a proxy rejected this route and there is no earlier revision: see penstock status, then mend it"
        return ResolvedStream((), Verdict(refused=(Problem("Quarantined", text),)), age, generation)
    rules = items(spec_of(object_).get("rules"))
    unresolved: list[Problem] = []
    destinations = tuple(
        _destination(graph, key, item, unresolved) for rule in rules[:1] for item in items(rule.get("backendRefs"))
    )
    partly = ((fall_back(graph, key.gateway, key.route),) if held else ()) + _dropped(len(rules))
    return ResolvedStream(destinations, Verdict(tuple(unresolved), (), partly), age, generation)


def _dropped(rules: int) -> tuple[Problem, ...]:
    """Worded as the Gateway API wants it (RouteConditionPartiallyInvalid: it starts with "Dropped Rule")."""
    if rules <= 1:
        return ()
    text = f"Dropped Rule: the first of {rules} rules takes everything, so the others are not served: remove them"
    return (Problem("UnsupportedValue", text),)


def _destination(graph: Reader, key: Served, item: Json, unresolved: list[Problem]) -> Destination:
    weight = int(item.get("weight", 1))
    found = referenced(graph, key.route, item, ROUTE_KINDS[key.route.kind].over)
    if isinstance(found, Problem):
        unresolved.append(found)
        return Destination(weight, None, found)
    return Destination(weight, found[0], None, found[1])
