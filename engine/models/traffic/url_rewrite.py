"""urlRewrite: the path is rewritten by a regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

import re2
from pydantic import Field

from engine.models.rules import Rule, Ruled, at_least_one
from engine.models.target_rule import only_for
from engine.models.texts import has_control_characters, regex_problem, regex_problems
from engine.models.traffic_block import TrafficBlock

_ESCAPE: Final = re.compile(r"\\(.?)", re.DOTALL)


class PathRegex(Ruled):
    """PathRegexRewrite."""

    pattern: Annotated[str, Field(min_length=1, max_length=1024, description="RE2.")]
    substitution: Annotated[str, Field(min_length=1, max_length=1024, description=r"Where \1 is what group 1 matched.")]

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy rejects the whole route configuration for a pattern that it cannot compile."""
        yield from regex_problems(self.pattern, "pattern")
        if has_control_characters(self.substitution):
            yield "substitution", "cannot contain control characters"
        elif regex_problem(self.pattern) is None and (problem := self._unknown()) is not None:
            yield "substitution", problem

    def _unknown(self) -> str | None:
        groups = re2.compile(self.pattern.encode()).groups
        for escape in _ESCAPE.finditer(self.substitution):
            named = escape[1]
            if named == "\\" or (named.isascii() and named.isdigit() and int(named) <= groups):
                continue
            return rf"{escape[0]} names no group: the pattern has {groups}; write \\ for a backslash"
        return None


class UrlRewrite(Ruled):
    """URLRewrite."""

    RULES: ClassVar[tuple[Rule, ...]] = (at_least_one(("pathRegex", "path_regex")),)

    path_regex: Annotated[PathRegex, Field(description="Every match in the path is replaced.")] | None = None


BLOCK = TrafficBlock("urlRewrite", UrlRewrite, (only_for("urlRewrite", "url_rewrite", "HTTPRoute"),))
