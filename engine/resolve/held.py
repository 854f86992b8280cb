"""How the fall back of a route is told, whose present revision a proxy rejected."""

from __future__ import annotations

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.manifest import held_fact
from engine.resolve.values import Problem

_ERROR_SHOWN = 300


def fall_back(graph: Reader, gateway: Ref, route: Ref) -> Problem:
    """Worded as the Gateway API wants it (RouteConditionPartiallyInvalid: such a message starts with "Fall Back")."""
    return _problem(graph, gateway, route, "the last good revision,")


def unnamed(graph: Reader, gateway: Ref, route: Ref) -> Problem:
    """Of a parentRef that the present revision has and the one that is served has not."""
    return _problem(graph, gateway, route, "the last good revision, which does not name this parent,")


def _problem(graph: Reader, gateway: Ref, route: Ref, what: str) -> Problem:
    error = str(graph.fact(held_fact(gateway, route)))[:_ERROR_SHOWN]
    name = f"Gateway {gateway.namespace}/{gateway.name}"
    text = f"Fall Back: {name} serves {what} because a proxy rejected this one ({error}): mend it"
    return Problem("UnsupportedValue", text)
