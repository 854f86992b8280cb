"""`commonHttpProtocolOptions`: limits of connections and streams, whatever the version of HTTP."""

from __future__ import annotations

from typing import Final

from engine.envoy.shape import Shape
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use, given, span


def _shape(block: Json, _: Use) -> Shape:
    return Shape(
        common=given(
            idle_timeout=span(block, "idleTimeout"),
            max_connection_duration=span(block, "maxConnectionDuration"),
            max_headers_count=block.get("maxHeadersCount"),
            max_stream_duration=span(block, "maxStreamDuration"),
            # 0 is without limit, which Envoy says by nothing.
            max_requests_per_connection=block.get("maxRequestsPerConnection") or None,
        )
    )


FEATURE: Final = Feature("commonHttpProtocolOptions", _shape)
