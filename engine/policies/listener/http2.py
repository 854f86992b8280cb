"""http2ProtocolOptions: windows, streams, and whether CONNECT may be extended (RFC 8441)."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import Http2ProtocolOptions

from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.models.quantity import whole
from engine.policies.listener.feature import Effect, Feature, Given, managed

_FIELD: Final = "httpSettings.http2ProtocolOptions"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Windows in bytes."""
    block = given.block(_FIELD)
    options = construct(
        Http2ProtocolOptions,
        initial_stream_window_size=whole(block.get("initialStreamWindowSize")),
        initial_connection_window_size=whole(block.get("initialConnectionWindowSize")),
        max_concurrent_streams=block.get("maxConcurrentStreams"),
        allow_connect=bool(block.get("allowConnect")),
    )
    return managed(http2_protocol_options=options)


FEATURE: Final = Feature((_FIELD,), effect)
