"""The specification's order of matches as a text that sorts: HTTPRouteRule.matches of the Gateway API."""

from __future__ import annotations

from engine.ref import Ref
from engine.resolve.values import Match, PathType

_RANK = {PathType.EXACT: 0, PathType.PREFIX: 1, PathType.REGEX: 2}
_LONGEST = 9999
_MOST = 99
"""More than the models let through: 1024 characters of a path, 16 headers and query parameters of a match."""


def order(match: Match, created: str, route: Ref, rule: int, index: int) -> str:
    """Exact, longest prefix, regular expressions; then method, headers, query, oldest, namespace/name, position.

    Lengths of regular expressions are not compared. The specification leaves their place open; kgateway's is last.
    """
    length = 0 if match.path_type is PathType.REGEX else len(match.path)
    return (
        f"{_RANK[match.path_type]}{_LONGEST - length:04d}{0 if match.method else 1}"
        f"{_MOST - len(match.headers):02d}{_MOST - len(match.query):02d}"
        f" {created} {route.namespace}/{route.name} {rule:04d} {index:04d}"
    )
