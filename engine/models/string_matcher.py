"""StringMatcher of kgateway's: how a text is matched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from engine.models.rules import Rule, Ruled, exactly_one
from engine.models.texts import regex_problems


class StringMatcher(Ruled):
    """One way to match a text."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        exactly_one(
            ("exact", "exact"),
            ("prefix", "prefix"),
            ("suffix", "suffix"),
            ("contains", "contains"),
            ("safeRegex", "safe_regex"),
        ),
    )

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    contains: str | None = None
    safe_regex: Annotated[str, Field(description="RE2, of the whole text.")] | None = None
    ignore_case: Annotated[bool, Field(description="Of no effect on safeRegex.")] | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy rejects what matches everything, and what it cannot compile."""
        for name in ("prefix", "suffix", "contains"):
            if getattr(self, name) == "":
                yield name, "is empty, and would match everything: say what it must be"
        if self.safe_regex is not None:
            yield from regex_problems(self.safe_regex, "safeRegex")
            if not self.safe_regex:
                yield "safeRegex", "is empty: say what it must be"
