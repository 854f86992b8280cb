"""rateLimit.global: a service counts for all proxies, and says which requests are answered with 429."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from envoy_data_plane.envoy.config.route.v3 import RateLimit as RouteLimit
from envoy_data_plane.envoy.config.route.v3 import (
    RateLimitAction,
    RateLimitActionGenericKey,
    RateLimitActionRemoteAddress,
    RateLimitActionRequestHeaders,
)
from envoy_data_plane.envoy.extensions.filters.http.ratelimit.v3 import RateLimit

from engine.envoy.chained import EMPTY, EMPTY_TYPE, chained
from engine.envoy.effect import Effect
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.extension.sections import extended, unmet
from engine.policies.feature import Feature, Filter, Stage, Use
from engine.resolve.manifest import items, mapping
from engine.resolve.values import Problem

NAME: Final = "ratelimit"
INNER: Final = "envoy.filters.http.ratelimit"
"""In its chain: of several places the nearest holds."""
_TYPE: Final = "envoy.extensions.filters.http.ratelimit.v3"


def effect(graph: Reader, use: Use, value: Json) -> Effect:
    """RateLimit, whole."""
    found = extended(graph, use, value, "rateLimit")
    if isinstance(found, Problem):
        return unmet(graph, use, value, "rateLimit", found)
    limits = [
        construct(RouteLimit, actions=[_action(entry) for entry in items(one.get("entries"))])
        for one in items(value.get("descriptors"))
    ]
    limit = construct(RateLimit, **dict(found.fields), rate_limits=limits)
    made = chained(NAME, (INNER, f"{_TYPE}.RateLimit", limit), sealed=found.sealed)
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


FEATURE = Feature("rateLimit.global", effect, (Filter(NAME, EMPTY_TYPE, EMPTY, Stage.RATE_LIMIT),), shuts=True)
