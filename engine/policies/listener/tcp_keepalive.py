"""tcpKeepalive: probes on connections that are idle."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import TcpKeepalive

from engine.envoy.added import Added
from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.models.duration import milliseconds
from engine.policies.listener.feature import Effect, Feature, Given

_FIELD: Final = "tcpKeepalive"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Times in whole seconds; what is not said is the system's."""
    block = given.block(_FIELD)
    message = construct(
        TcpKeepalive,
        keepalive_probes=block.get("keepAliveProbes"),
        keepalive_time=_seconds(block.get("keepAliveTime")),
        keepalive_interval=_seconds(block.get("keepAliveInterval")),
    )
    return Effect(Added(listener=(("tcp_keepalive", message),)))


def _seconds(text: object) -> int | None:
    found = milliseconds(text)
    return found // 1000 if found is not None else None


FEATURE: Final = Feature((_FIELD,), effect, whole=True)
