"""maxRequestsPerConnection, maxHeadersCount and maxRequestHeadersKb: how much a client may send."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import HttpProtocolOptions

from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import NOTHING, Effect, Feature, Given, both, managed

_REQUESTS: Final = "httpSettings.maxRequestsPerConnection"
_HEADERS: Final = "httpSettings.maxHeadersCount"
_SIZE: Final = "httpSettings.maxRequestHeadersKb"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """0 requests are any number."""
    said = {"max_requests_per_connection": given.value(_REQUESTS), "max_headers_count": given.value(_HEADERS)}
    options = {name: value for name, value in said.items() if value is not None}
    return both(
        [
            managed(common_http_protocol_options=construct(HttpProtocolOptions, **options)) if options else NOTHING,
            managed(max_request_headers_kb=given.value(_SIZE)) if given.has(_SIZE) else NOTHING,
        ]
    )


FEATURE: Final = Feature((_REQUESTS, _HEADERS, _SIZE), effect)
