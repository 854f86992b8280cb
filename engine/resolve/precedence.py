"""The specification's order of matches as a text that sorts; what a kind prefers within a match, its own file says."""

from __future__ import annotations

from engine.ref import Ref
from engine.resolve.values import Match


def order(match: Match, created: str, route: Ref, rule: int, index: int) -> str:
    """By rank; then oldest, namespace/name, position."""
    return f"{match.rank} {created} {route.namespace}/{route.name} {rule:04d} {index:04d}"
