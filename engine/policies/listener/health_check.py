"""healthCheck: a path that the proxy answers itself, with 200 as long as it is not to be drained."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.extensions.filters.http.health_check.v3 import HealthCheck
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from engine.envoy.added import Added
from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given

_FIELD: Final = "httpSettings.healthCheck"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Before all other filters, so that nothing keeps a probe away."""
    path = construct(StringMatcher, exact=str(given.block(_FIELD).get("path")))
    headers = [construct(HeaderMatcher, name=":path", string_match=path)]
    message = construct(HealthCheck, pass_through_mode=False, headers=headers)
    typed = packed("envoy.extensions.filters.http.health_check.v3.HealthCheck", message)
    return Effect(Added(filters=(construct(HttpFilter, name="envoy.filters.http.health_check", typed_config=typed),)))


FEATURE: Final = Feature((_FIELD,), effect)
