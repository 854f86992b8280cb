"""`tcpKeepalive`: probes of the operating system on connections that are idle."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.cluster.v3 import UpstreamConnectionOptions

from engine.envoy.shape import Shape
from engine.envoy.tcp_keepalive import tcp_keepalive
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use
from engine.resolve.values import Problem


def _shape(block: Json, _: Use) -> Shape | Problem:
    found = tcp_keepalive(block)
    if isinstance(found, Problem):
        return found
    return Shape({"upstream_connection_options": construct(UpstreamConnectionOptions, tcp_keepalive=found)})


FEATURE: Final = Feature("tcpKeepalive", _shape)
