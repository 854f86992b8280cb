"""What Envoy makes of a request's path before it looks for a route: normalize_path and merge_slashes.

Source: RFC 3986, and what Envoy's own canonicalizer does, which is Chromium's for URLs of http; held against the real
Envoy by tests/explain.
"""

from __future__ import annotations

import re
from typing import Final

_UNESCAPED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""Of these an escape is resolved (RFC 3986, section 2.3)."""
_ESCAPED: Final = frozenset(' "<>`{}^|')
"""These are written as escapes."""
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")


def normalized(path: str) -> str | None:
    """A path without dot segments and needless escapes, its query untouched; None for one that Envoy refuses."""
    before, mark, query = path.partition("?")
    if "\0" in before or "%00" in before:
        return None
    text = _ESCAPE.sub(_resolved, before.replace("\\", "/"))
    text = "".join(f"%{ord(one):02X}" if one in _ESCAPED else one for one in text)
    return _without_dots(text) + mark + query


def _resolved(found: re.Match[str]) -> str:
    letter = chr(int(found[1], 16))
    return letter if letter in _UNESCAPED else found[0]


def _without_dots(path: str) -> str:
    """RFC 3986, section 5.2.4."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for at, one in enumerate(segments):
        is_last = at == len(segments) - 1
        if one == "..":
            if kept:
                kept.pop()
        elif one != ".":
            kept.append(one)
            continue
        if is_last:
            kept.append("")
    return "/" + "/".join(kept)


def merged(path: str) -> str:
    """A path in which slashes stand alone, its query untouched."""
    before, mark, query = path.partition("?")
    return re.sub("/{2,}", "/", before) + mark + query
