"""HTTPRoute: matches on path, method, headers and query, and the specification's order among them."""

from __future__ import annotations

from dataclasses import replace

from engine.graph.reader import Json
from engine.resolve.manifest import items, mapping
from engine.resolve.matching import strings
from engine.resolve.route_kind import Requests, RouteKind
from engine.resolve.values import Match, PathType

_RANK = {PathType.EXACT: 0, PathType.PREFIX: 1, PathType.REGEX: 2}
_LONGEST = 9999
_MOST = 99
"""More than the models let through: 1024 characters of a path, 16 headers and query parameters of a match.

What is put together by delegation over several levels may have more, and counts as having that many.
"""


def matches(rule: Json) -> tuple[Match, ...]:
    """The matches of a rule; without any, it takes every request."""
    return tuple(_match(one) for one in items(rule.get("matches")) or [{}])


def _match(item: Json) -> Match:
    path = mapping(item.get("path"))
    type_, value = PathType(path.get("type", "PathPrefix")), str(path.get("value", "/"))
    method = str(item.get("method") or "")
    headers, query = strings(item.get("headers"), lower=True), strings(item.get("queryParams"), lower=False)
    return ranked(Match(type_, value, method, headers, query))


def ranked(match: Match) -> Match:
    """The match with its rank.

    Exact, longest prefix, regular expressions; then method, headers, query (HTTPRouteRule.matches).

    Lengths of regular expressions are not compared. The specification leaves their place open; kgateway's is last.
    """
    headers, query = _left(_MOST, len(match.headers)), _left(_MOST, len(match.query))
    length = _left(_LONGEST, 0 if match.path_type is PathType.REGEX else len(match.path))
    rank = f"{_RANK[match.path_type]}{length:04d}{0 if match.method else 1}{headers:02d}{query:02d}"
    return replace(match, rank=rank)


def _left(most: int, counted: int) -> int:
    return max(0, most - counted)


ROUTE_KIND = RouteKind("HTTPRoute", ("HTTP", "HTTPS"), Requests(matches, failure=500, delegates=True))
