"""idleTimeout of connections, streamIdleTimeout of requests; 0 for none."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import HttpProtocolOptions

from engine.envoy.grpc_service import duration
from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import NOTHING, Effect, Feature, Given, both, managed

_IDLE: Final = "httpSettings.idleTimeout"
_STREAM: Final = "httpSettings.streamIdleTimeout"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Each where it is said."""
    idle, stream = duration(given.value(_IDLE)), duration(given.value(_STREAM))
    options = construct(HttpProtocolOptions, idle_timeout=idle)
    return both(
        [
            managed(common_http_protocol_options=options) if idle is not None else NOTHING,
            managed(stream_idle_timeout=stream) if stream is not None else NOTHING,
        ]
    )


FEATURE: Final = Feature((_IDLE, _STREAM), effect)
