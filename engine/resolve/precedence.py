"""The specification's order of matches as a text that sorts; what a kind prefers within a match, its own file says."""

from __future__ import annotations

from engine.ref import Ref
from engine.resolve.values import Match

_HIGHEST = 2**31 - 1


def weighed(text: str, weight: int | None) -> str:
    """An order below a route's weight, the higher first; without one as it is."""
    return text if weight is None else f"{_HIGHEST - weight:010d} {text}"


def order(match: Match, created: str, route: Ref, rule: int, index: int) -> str:
    """By rank; then oldest, namespace/name, position."""
    return f"{match.rank} {created} {route.namespace}/{route.name} {rule:04d} {index:04d}"
