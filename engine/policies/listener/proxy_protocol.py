"""proxyProtocol: connections begin with the address of the client (PROXY protocol, versions 1 and 2)."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.listener.v3 import ListenerFilter
from envoy_data_plane.envoy.extensions.filters.listener.proxy_protocol.v3 import ProxyProtocol

from engine.envoy.added import Added
from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given

_FIELD: Final = "proxyProtocol"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Before anything else is read of a connection."""
    policy = given.policy(_FIELD)
    message = construct(
        ProxyProtocol,
        allow_requests_without_proxy_protocol=bool(given.block(_FIELD).get("allowRequestsWithoutProxyProtocol")),
        stat_prefix=f"{policy.namespace}_{policy.name}",
    )
    typed = packed("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol", message)
    filter_ = construct(ListenerFilter, name="envoy.filters.listener.proxy_protocol", typed_config=typed)
    return Effect(Added(listener_filters=(filter_,)))


FEATURE: Final = Feature((_FIELD,), effect, whole=True)
