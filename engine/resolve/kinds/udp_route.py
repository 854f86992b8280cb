"""UDPRoute: all that comes to a UDP listener goes to the backends of one route, the oldest."""

from __future__ import annotations

from engine.resolve.route_kind import RouteKind
from engine.resolve.values import Over

ROUTE_KIND = RouteKind("UDPRoute", ("UDP",), over=Over.UDP)
