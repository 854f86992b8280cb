"""Why of two routes that both take a request the one before goes first, in words (HTTPRouteRule.matches)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from envoy_data_plane.envoy.config.route.v3 import RouteMatch


def _kind(match: RouteMatch) -> int:
    if match.path is not None:
        return 0
    return 2 if match.safe_regex is not None else 1


def _prefix(match: RouteMatch) -> int:
    return -len(match.path_separated_prefix or match.prefix or "") if _kind(match) == 1 else 0


def _counted(match: RouteMatch) -> Iterable[str]:
    return (one.name for one in match.headers)


_RANKS: Final[tuple[tuple[Callable[[RouteMatch], int], str], ...]] = (
    (_kind, "an exact path goes before a prefix, a prefix before a regular expression"),
    (_prefix, "the longer prefix goes first"),
    (lambda match: 0 if ":method" in _counted(match) else 1, "a match with a method goes first"),
    (
        lambda match: -sum(not name.startswith(":") for name in _counted(match)),
        "the match with more headers goes first",
    ),
    (lambda match: -len(match.query_parameters), "the match with more query parameters goes first"),
)


def why_first(winner: RouteMatch, loser: RouteMatch) -> str:
    """The rule of precedence that decides; by age and name where nothing of the matches does."""
    for rank, words in _RANKS:
        if rank(winner) != rank(loser):
            return words if rank(winner) < rank(loser) else "it stands behind by its route's weight or parent"
    return "of equal matches the older route goes first, then by name, then the earlier rule"
