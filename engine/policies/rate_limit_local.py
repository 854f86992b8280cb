"""rateLimit.local: each proxy lets so many requests through in a while and no more; those beyond get 429."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from envoy_data_plane.envoy.config.core.v3 import RuntimeFractionalPercent
from envoy_data_plane.envoy.extensions.filters.http.local_ratelimit.v3 import LocalRateLimit
from envoy_data_plane.envoy.type.v3 import FractionalPercent, TokenBucket

from engine.envoy.effect import Effect, of_filter, switched
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.duration import milliseconds
from engine.policies.feature import Feature, Filter, Stage, Use, When
from engine.resolve.manifest import mapping

NAME: Final = "ratelimit/local"
_TYPE: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_STATS: Final = "http_local_rate_limiter"


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """LocalRateLimit; an empty block is none."""
    bucket = mapping(value.get("tokenBucket"))
    if not bucket:
        return switched(NAME, off=True)
    limit = construct(
        LocalRateLimit,
        stat_prefix=_STATS,
        token_bucket=construct(
            TokenBucket,
            max_tokens=int(bucket["maxTokens"]),
            tokens_per_fill=int(bucket.get("tokensPerFill") or 1),
            fill_interval=timedelta(milliseconds=milliseconds(bucket.get("fillInterval")) or 0),
        ),
        filter_enabled=_percent("local_rate_limit_enabled", value.get("percentEnabled")),
        filter_enforced=_percent("local_rate_limit_enforced", value.get("percentEnforced")),
    )
    return of_filter(NAME, _TYPE, limit)


def _percent(key: str, wanted: object) -> RuntimeFractionalPercent:
    numerator = wanted if isinstance(wanted, int) else 100
    return construct(
        RuntimeFractionalPercent, default_value=construct(FractionalPercent, numerator=numerator), runtime_key=key
    )


FEATURE = Feature(
    "rateLimit.local",
    effect,
    (Filter(NAME, _TYPE, construct(LocalRateLimit, stat_prefix=_STATS), Stage.ACCEPTED, When.BEFORE),),
    shuts=True,
)
