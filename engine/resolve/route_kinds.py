"""The kinds of routes that are served: the `ROUTE_KIND` of each file in `kinds`, and the only list of them."""

from __future__ import annotations

from typing import Final

import engine.resolve.kinds
from engine.presence import modules, told_apart
from engine.ref import Ref
from engine.resolve.manifest import GATEWAY_API
from engine.resolve.route_kind import Requests, RouteKind

_FOUND: Final[list[RouteKind]] = [one.ROUTE_KIND for one in modules(engine.resolve.kinds)]
ROUTE_KINDS: Final = told_apart(_FOUND, lambda kind: kind.name)
"""By name."""

_PROTOCOLS: Final = sorted({protocol for kind in ROUTE_KINDS.values() for protocol in kind.protocols})
SERVED: Final = {
    protocol: tuple((GATEWAY_API, kind.name) for kind in ROUTE_KINDS.values() if protocol in kind.protocols)
    for protocol in _PROTOCOLS
}
"""Group and kind of the routes that a listener serves, by its protocol."""


def requests_of(route: Ref) -> Requests:
    """How the routes of a route's kind match requests; raises TypeError for a kind whose routes take none."""
    found = ROUTE_KINDS[route.kind].requests
    if found is None:
        raise TypeError(route.kind)
    return found
