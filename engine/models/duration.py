"""Durations as the Gateway API writes them (GEP-2257): "1h30m", "500ms"."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from engine.models.rules import Rule, Rules
from engine.models.texts import DURATION

_WHOLE = re.compile(DURATION.removeprefix("^").removesuffix("$"))
_PART = re.compile(r"([0-9]{1,5})(ms|h|m|s)")
_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def milliseconds(text: object) -> int | None:
    """Milliseconds of a duration; None when it is none."""
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        return None
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in _PART.findall(text))


_WRITTEN = Rule(
    f"matches(self, '{DURATION}')",
    'is no duration: write it as "1h30m", "10s" or "500ms" (GEP-2257)',
    lambda text: milliseconds(text) is not None,
)
Span = Annotated[str, Field(max_length=32), Rules((_WRITTEN,))]
"""A duration of kgateway's API."""


def at_least(least: str) -> Rules:
    """Annotates a Span that must be as long as another at least."""
    return Rules(
        (
            Rule(
                f"duration(self) >= duration('{least}')",
                f"must be at least {least}",
                lambda text: (milliseconds(text) or 0) >= (milliseconds(least) or 0),
            ),
        )
    )
