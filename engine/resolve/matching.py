"""Matches as manifests write them, as far as kinds of routes share them; it puts them in no order."""

from __future__ import annotations

from engine.resolve.manifest import items
from engine.resolve.values import Match, PathType, StringMatch


def strings(value: object, *, lower: bool) -> tuple[StringMatch, ...]:
    """The first of several matches of one name counts (HTTPHeaderMatch.name, HTTPQueryParamMatch.name)."""
    found: dict[str, StringMatch] = {}
    for item in items(value):
        name = str(item.get("name", ""))
        name = name.lower() if lower else name
        found.setdefault(
            name, StringMatch(name, str(item.get("value", "")), item.get("type", "Exact") == "RegularExpression")
        )
    return tuple(found.values())


def has_regex(match: Match) -> bool:
    """Whether something in the match is a regular expression."""
    return match.path_type is PathType.REGEX or any(one.regex for one in (*match.headers, *match.query))
