"""rateLimit: so many requests in a while and no more; those beyond are answered with 429."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from envoy_data_plane.envoy.config.core.v3 import RuntimeFractionalPercent
from envoy_data_plane.envoy.config.route.v3 import RateLimit as RouteLimit
from envoy_data_plane.envoy.config.route.v3 import (
    RateLimitAction,
    RateLimitActionGenericKey,
    RateLimitActionRemoteAddress,
    RateLimitActionRequestHeaders,
)
from envoy_data_plane.envoy.extensions.filters.http.local_ratelimit.v3 import LocalRateLimit
from envoy_data_plane.envoy.extensions.filters.http.ratelimit.v3 import RateLimit
from envoy_data_plane.envoy.type.v3 import FractionalPercent, TokenBucket

from engine.envoy.chained import EMPTY, EMPTY_TYPE, chained
from engine.envoy.effect import NOTHING, Effect, both, of_filter, switched
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.duration import milliseconds
from engine.policies.extension.sections import extended, unmet
from engine.policies.feature import Feature, Filter, Stage, Use, When
from engine.resolve.manifest import items, mapping
from engine.resolve.values import Problem

NAME: Final = "ratelimit/local"
GLOBAL: Final = "ratelimit"
INNER: Final = "envoy.filters.http.ratelimit"
"""In its chain: of several places the nearest holds."""
_TYPE: Final = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_GLOBAL_TYPE: Final = "envoy.extensions.filters.http.ratelimit.v3"
_STATS: Final = "http_local_rate_limiter"


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:
    """LocalRateLimit, and RateLimit; of what a block does not say what is said farther out holds."""
    return both((_local(value), _global(graph, use, value)))


def _local(value: Json) -> Effect:
    if value.get("local") is None:
        return NOTHING
    asked = mapping(value.get("local"))
    bucket = mapping(asked.get("tokenBucket"))
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
        filter_enabled=_percent("local_rate_limit_enabled", asked.get("percentEnabled")),
        filter_enforced=_percent("local_rate_limit_enforced", asked.get("percentEnforced")),
    )
    return of_filter(NAME, _TYPE, limit)


def _global(graph: Reader, use: Use, value: Json) -> Effect:
    if value.get("global") is None:
        return NOTHING
    asked = mapping(value.get("global"))
    found = extended(graph, use, asked, "rateLimit")
    if isinstance(found, Problem):
        problem = Problem(found.reason, f"global: {found.message}")
        return replace(unmet(graph, use, asked, "rateLimit", problem), awaited=GLOBAL)
    limits = [
        construct(RouteLimit, actions=[_action(entry) for entry in items(one.get("entries"))])
        for one in items(asked.get("descriptors"))
    ]
    limit = construct(RateLimit, **dict(found.fields), rate_limits=limits)
    made = chained(GLOBAL, (INNER, f"{_GLOBAL_TYPE}.RateLimit", limit), sealed=found.sealed)
    return replace(made, backends=found.backends, sources=found.sources)


def _action(entry: Json) -> RateLimitAction:
    match entry.get("type"):
        case "Generic":
            said = mapping(entry.get("generic"))
            named = construct(
                RateLimitActionGenericKey,
                descriptor_key=str(said.get("key")),
                descriptor_value=str(said.get("value")),
            )
            return construct(RateLimitAction, generic_key=named)
        case "RemoteAddress":
            return construct(RateLimitAction, remote_address=construct(RateLimitActionRemoteAddress))
        case "Path":
            return _of_header(":path", "path")
        case _:
            return _of_header(str(entry.get("header")), str(entry.get("header")))


def _of_header(name: str, key: str) -> RateLimitAction:
    header = construct(RateLimitActionRequestHeaders, header_name=name, descriptor_key=key)
    return construct(RateLimitAction, request_headers=header)


def _percent(key: str, wanted: object) -> RuntimeFractionalPercent:
    numerator = wanted if isinstance(wanted, int) else 100
    return construct(
        RuntimeFractionalPercent, default_value=construct(FractionalPercent, numerator=numerator), runtime_key=key
    )


FEATURE = Feature(
    "rateLimit",
    effect,
    (
        Filter(NAME, _TYPE, construct(LocalRateLimit, stat_prefix=_STATS), Stage.ACCEPTED, When.BEFORE),
        Filter(GLOBAL, EMPTY_TYPE, EMPTY, Stage.RATE_LIMIT),
    ),
    shuts=True,
)
