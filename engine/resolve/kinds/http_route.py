"""HTTPRoute: matches on path, method, headers and query, and the specification's order among them."""

from __future__ import annotations

from engine.graph.reader import Json
from engine.resolve.manifest import items, mapping
from engine.resolve.matching import strings
from engine.resolve.route_kind import Requests, RouteKind
from engine.resolve.values import Match, PathType, StringMatch

_RANK = {PathType.EXACT: 0, PathType.PREFIX: 1, PathType.REGEX: 2}
_LONGEST = 9999
_MOST = 99
"""More than the models let through: 1024 characters of a path, 16 headers and query parameters of a match."""


def matches(rule: Json) -> tuple[Match, ...]:
    """The matches of a rule; without any, it takes every request."""
    return tuple(_match(one) for one in items(rule.get("matches")) or [{}])


def _match(item: Json) -> Match:
    path = mapping(item.get("path"))
    type_, value = PathType(path.get("type", "PathPrefix")), str(path.get("value", "/"))
    method = str(item.get("method") or "")
    headers, query = strings(item.get("headers"), lower=True), strings(item.get("queryParams"), lower=False)
    return Match(type_, value, method, headers, query, _rank(type_, len(value), method, headers, query))


def _rank(
    type_: PathType, length: int, method: str, headers: tuple[StringMatch, ...], query: tuple[StringMatch, ...]
) -> str:
    """Exact, longest prefix, regular expressions; then method, headers, query (HTTPRouteRule.matches).

    Lengths of regular expressions are not compared. The specification leaves their place open; kgateway's is last.
    """
    counted = 0 if type_ is PathType.REGEX else length
    return (
        f"{_RANK[type_]}{_LONGEST - counted:04d}{0 if method else 1}{_MOST - len(headers):02d}{_MOST - len(query):02d}"
    )


ROUTE_KIND = RouteKind("HTTPRoute", ("HTTP", "HTTPS"), Requests(matches, failure=500))
