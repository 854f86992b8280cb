"""`http2ProtocolOptions`: how HTTP/2 is spoken; nothing where the backend does not speak it."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import KeepaliveSettings

from engine.envoy.shape import Shape
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.models.quantity import number
from engine.policies.backend_config.feature import Feature, Use, given, span
from engine.resolve.manifest import mapping


def _shape(block: Json, _: Use) -> Shape:
    keepalive = mapping(block.get("connectionKeepalive"))
    return Shape(
        http2=given(
            initial_stream_window_size=_bytes(block, "initialStreamWindowSize"),
            initial_connection_window_size=_bytes(block, "initialConnectionWindowSize"),
            max_concurrent_streams=block.get("maxConcurrentStreams"),
            override_stream_error_on_invalid_http_message=block.get("overrideStreamErrorOnInvalidHttpMessage"),
            connection_keepalive=_keepalive(keepalive) if keepalive else None,
        )
    )


def _bytes(block: Json, name: str) -> int | None:
    found = block.get(name)
    return None if found is None else int(number(found))


def _keepalive(block: Json) -> KeepaliveSettings:
    return construct(
        KeepaliveSettings,
        **given(
            timeout=span(block, "timeout"),
            interval=span(block, "interval"),
            connection_idle_interval=span(block, "connectionIdleInterval"),
        ),
    )


FEATURE: Final = Feature("http2ProtocolOptions", _shape)
