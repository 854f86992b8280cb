"""TLSRoute: connections to a TLS listener go, by their SNI, to the backends of one route, the oldest."""

from __future__ import annotations

from engine.resolve.route_kind import RouteKind

ROUTE_KIND = RouteKind("TLSRoute", ("TLS",))
