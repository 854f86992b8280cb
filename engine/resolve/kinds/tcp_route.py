"""TCPRoute: all that comes to a TCP listener goes to the backends of one route, the oldest."""

from __future__ import annotations

from engine.resolve.route_kind import RouteKind

ROUTE_KIND = RouteKind("TCPRoute", ("TCP",))
