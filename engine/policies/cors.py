"""cors: which other sites' pages may read what is answered (CORS), as the HTTPRoute filter of that name says it."""

from __future__ import annotations

from engine.envoy.effect import Effect, switched
from engine.envoy.listener import CORS
from engine.envoy.route_filters import per_filter_config
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Use, is_off
from engine.resolve.filters import filter_set
from engine.resolve.values import Rule


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """CorsPolicy of the filter that stands in every connection manager; one of the route itself comes first."""
    if is_off(value):
        return switched(CORS, off=True)
    asked = filter_set([{"type": "CORS", "cors": value}], ()).cors
    return Effect(tuple(per_filter_config(Rule(cors=asked)).items()))


FEATURE = Feature("cors", effect)
