"""autoHostRewrite: a backend is asked by its own DNS name, whatever host the client asked for."""

from __future__ import annotations

from engine.envoy.effect import NOTHING, Effect
from engine.graph.reader import Reader
from engine.policies.feature import Feature, Use

_FIELD = "auto_host_rewrite"


def effect(graph: Reader, use: Use, value: object) -> Effect:  # noqa: ARG001  a feature's signature
    """RouteAction.auto_host_rewrite; a hostname that the route itself writes comes first."""
    return Effect(action=((_FIELD, True),)) if value is True else NOTHING


FEATURE = Feature(
    "autoHostRewrite",
    effect,
    inherited=True,
)
