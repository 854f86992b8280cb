"""urlRewrite: the path is rewritten by a regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

import re2
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatchAndSubstitute, RegexMatcher
from pydantic import Field

from engine.envoy.effect import Effect
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.rules import Rule, Ruled, at_least_one
from engine.models.target_rule import only_for
from engine.models.texts import has_control_characters, regex_problem, regex_problems
from engine.policies.feature import Feature, Use
from engine.resolve.manifest import mapping

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


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """RouteAction.regex_rewrite; a path that the route itself writes comes first."""
    asked = mapping(value.get("pathRegex"))
    rewrite = construct(
        RegexMatchAndSubstitute,
        pattern=construct(RegexMatcher, regex=str(asked.get("pattern"))),
        substitution=str(asked.get("substitution")),
    )
    return Effect(action=(("regex_rewrite", rewrite),))


FEATURE = Feature(
    "urlRewrite", UrlRewrite, effect, inherited=True, rules=(only_for("urlRewrite", "url_rewrite", "HTTPRoute"),)
)
