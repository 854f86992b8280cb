"""urlRewrite: the path is rewritten by a regular expression."""

from __future__ import annotations

from envoy_data_plane.envoy.type.matcher.v3 import RegexMatchAndSubstitute, RegexMatcher

from engine.envoy.effect import Effect
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Use
from engine.resolve.manifest import mapping


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
    "urlRewrite",
    effect,
    inherited=True,
)
