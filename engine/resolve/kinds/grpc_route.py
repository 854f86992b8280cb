"""GRPCRoute: matches on service, method and headers, and the specification's order among them."""

from __future__ import annotations

from engine.graph.reader import Json
from engine.models.grpc_route import method_pattern
from engine.resolve.manifest import items, mapping
from engine.resolve.matching import strings
from engine.resolve.route_kind import Requests, RouteKind
from engine.resolve.values import Match, PathType, StringMatch

_LONGEST = 9999
_MOST = 99
"""More than the models let through: 1024 characters of a service or method, 16 headers of a match."""


def matches(rule: Json) -> tuple[Match, ...]:
    """The matches of a rule; without any, it takes every request."""
    return tuple(_match(one) for one in items(rule.get("matches")) or [{}])


def _match(item: Json) -> Match:
    method = mapping(item.get("method"))
    headers = strings(item.get("headers"), lower=True)
    path_type, path = _path(method)
    return Match(path_type, path, "", headers, (), _rank(method, headers))


def _path(method: Json) -> tuple[PathType, str]:
    """A call's path is /SERVICE/METHOD (gRPC over HTTP/2, Requests)."""
    service, name = str(method.get("service") or ""), str(method.get("method") or "")
    if not service and not name:
        return PathType.PREFIX, "/"
    if method.get("type") == "RegularExpression" or not service:
        return PathType.REGEX, method_pattern(service, name)
    return (PathType.EXACT, f"/{service}/{name}") if name else (PathType.PREFIX, f"/{service}")


def _rank(method: Json, headers: tuple[StringMatch, ...]) -> str:
    """Longest service, longest method, most headers (GRPCRouteRule.matches).

    Regular expressions stand last, as those of an HTTPRoute: their lengths say nothing.
    """
    exact = method.get("type") != "RegularExpression"
    service, name = (len(str(method.get(one) or "")) if exact else 0 for one in ("service", "method"))
    return f"{_LONGEST - service:04d}{_LONGEST - name:04d}{_MOST - len(headers):02d}"


# UNAVAILABLE, as Envoy says 503 in gRPC (GRPCRouteRule.backendRefs).
ROUTE_KIND = RouteKind("GRPCRoute", ("HTTP", "HTTPS"), Requests(matches, failure=503, http2=True))
