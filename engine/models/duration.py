"""Durations as the Gateway API writes them (GEP-2257): "1h30m", "500ms"."""

from __future__ import annotations

import re

from engine.models.texts import DURATION

_WHOLE = re.compile(DURATION.removeprefix("^").removesuffix("$"))
_PART = re.compile(r"([0-9]{1,5})(ms|h|m|s)")
_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def milliseconds(text: object) -> int | None:
    """Milliseconds of a duration; None when it is none."""
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        return None
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in _PART.findall(text))
