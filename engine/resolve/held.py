"""How the fall back of an object is told, whose present revision a proxy rejected."""

from __future__ import annotations

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.manifest import held_fact, holders_fact, metadata_of
from engine.resolve.values import Problem

_ERROR_SHOWN = 300


def fall_back(graph: Reader, gateway: Ref, route: Ref) -> Problem:
    """Worded as the Gateway API wants it (RouteConditionPartiallyInvalid: such a message starts with "Fall Back")."""
    return _problem(graph, gateway, route, f"{_last_good(graph, route)},")


def unnamed(graph: Reader, gateway: Ref, route: Ref) -> Problem:
    """Of a parentRef that the present revision has and the one that is served has not."""
    return _problem(graph, gateway, route, f"{_last_good(graph, route)}, which does not name this parent,")


def _problem(graph: Reader, gateway: Ref, route: Ref, what: str) -> Problem:
    error = str(graph.fact(held_fact(gateway, route)))[:_ERROR_SHOWN]
    name = f"Gateway {gateway.namespace}/{gateway.name}"
    text = f"Fall Back: {name} serves {what} because a proxy rejected this one ({error}): mend it"
    return Problem("UnsupportedValue", text)


def rejected(graph: Reader, gateway: Ref, ref: Ref) -> str:
    """Of an object beside the routes, which a Gateway is not served as it is."""
    kept = _last_good(graph, ref) or "nothing of it"
    error = str(graph.fact(held_fact(gateway, ref)))[:_ERROR_SHOWN]
    text = f"Gateway {gateway.namespace}/{gateway.name} serves {kept}, because a proxy rejected this one"
    return f"{text} ({error}): mend it"


def _last_good(graph: Reader, ref: Ref) -> str:
    """The revision that runs, by its generation; "" where there is none."""
    resource = graph.read(ref)
    if resource is None or resource.previous is None:
        return ""
    return f"the last good revision (generation {metadata_of(resource.previous).get('generation')})"


def rejections(graph: Reader, ref: Ref) -> str:
    """Of an object which Gateways are not served it as it is; "" where all are."""
    return "; ".join(rejected(graph, one, ref) for one in graph.fact(holders_fact(ref)) or ())
