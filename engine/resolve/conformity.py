"""Matches below a rule that delegates: whether a match stays within another's, and a match relative to another's.

Values only: it reads nothing, and knows neither routes nor rules.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from engine.resolve.kinds.http_route import ranked
from engine.resolve.values import Match, PathType, StringMatch

_GROUPED: Final = re.compile(r"[(?:]*/")
_META: Final = frozenset("/.*+?|()[]{}^$\\")


def conforms(parent: Match, child: Match) -> bool:
    """Whether all that the child matches the parent, a prefix, matches too: by whole segments of the path.

    For headers, query parameters and method it has to say the same as the parent does, and may say more. Of a regular
    expression the text has to begin with the prefix, and what of it reaches elsewhere is bounded by `below`.
    """
    return (
        _begins(parent.path, child)
        and set(parent.headers) <= set(child.headers)
        and set(parent.query) <= set(child.query)
        and parent.method in ("", child.method)
    )


def below(parent: Match, child: Match) -> Match:
    """A conforming match as it stands below the parent."""
    return replace(child, within=parent.path.rstrip("/")) if child.path_type is PathType.REGEX else child


def relative(parent: Match, child: Match) -> Match:
    """A match that is written relative to the parent's, which wins where both name a header, a parameter, a method."""
    prefix = parent.path.rstrip("/")
    if child.path_type is PathType.REGEX:
        text = child.path.removeprefix("^")
        slash = "" if _GROUPED.match(text) else "/"
        path, within = f"{re.escape(prefix)}{slash}(?:{text})", prefix
    else:
        path, within = "/".join(one for one in (prefix, child.path.strip("/")) if one) or "/", ""
    if not path.startswith("/"):
        path = f"/{path}"
    return ranked(
        replace(
            child,
            path=path,
            within=within,
            method=parent.method or child.method,
            headers=_merged(parent.headers, child.headers),
            query=_merged(parent.query, child.query),
        )
    )


def _begins(prefix: str, child: Match) -> bool:
    prefix = prefix.rstrip("/")
    if child.path_type is not PathType.REGEX:
        return child.path.rstrip("/") == prefix or child.path.startswith(f"{prefix}/")
    text = child.path.removeprefix("^")
    for head in (prefix, prefix.replace(".", r"\."), re.escape(prefix)):
        if text.startswith(head) and (len(text) == len(head) or text[len(head)] in _META):
            return True
    return False


def _merged(parent: tuple[StringMatch, ...], child: tuple[StringMatch, ...]) -> tuple[StringMatch, ...]:
    both = {one.name: one for one in child} | {one.name: one for one in parent}
    return tuple(both[name] for name in sorted(both))
