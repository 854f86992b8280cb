"""`tcpKeepalive`: probes of the operating system on connections that are idle."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.cluster.v3 import UpstreamConnectionOptions
from envoy_data_plane.envoy.config.core.v3 import TcpKeepalive

from engine.envoy.shape import Shape
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use, given, span


def _shape(block: Json, _: Use) -> Shape:
    keepalive = construct(
        TcpKeepalive,
        **given(
            keepalive_probes=block.get("keepAliveProbes"),
            keepalive_time=_seconds(block, "keepAliveTime"),
            keepalive_interval=_seconds(block, "keepAliveInterval"),
        ),
    )
    return Shape({"upstream_connection_options": construct(UpstreamConnectionOptions, tcp_keepalive=keepalive)})


def _seconds(block: Json, name: str) -> int | None:
    """Whole ones: the operating system knows no others."""
    found = span(block, name)
    return None if found is None else int(found.total_seconds())


FEATURE: Final = Feature("tcpKeepalive", _shape)
