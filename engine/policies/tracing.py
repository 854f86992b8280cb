"""tracing: which requests of a route are traced, and what their spans tell."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.config.route.v3 import Tracing
from envoy_data_plane.envoy.type.v3 import FractionalPercent

from engine.envoy.custom_tag import custom_tag
from engine.envoy.effect import Effect
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Use, is_off
from engine.resolve.manifest import items


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """Route.tracing: it says all samplings anew, what is not written as 100; tags are put to the listener's."""
    off = 0 if is_off(value) else None
    tracing = construct(
        Tracing,
        client_sampling=_percent(value.get("clientSampling", off)),
        random_sampling=_percent(value.get("randomSampling", off)),
        overall_sampling=_percent(value.get("overallSampling", off)),
        custom_tags=[custom_tag(one) for one in items(value.get("attributes"))],
    )
    return Effect(route=(("tracing", tracing),))


def _percent(value: Any) -> FractionalPercent | None:
    return construct(FractionalPercent, numerator=int(value)) if value is not None else None


FEATURE = Feature("tracing", effect, inherited=True)
