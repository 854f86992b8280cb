"""acceptHttp10, defaultHostForHttp10 and preserveHttp1HeaderCase: what older clients need."""

from __future__ import annotations

from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import Http1ProtocolOptions, Http1ProtocolOptionsHeaderKeyFormat
from envoy_data_plane.envoy.extensions.http.header_formatters.preserve_case.v3 import PreserveCaseFormatterConfig

from engine.envoy.typed import extension
from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given, managed

_ACCEPT: Final = "httpSettings.acceptHttp10"
_HOST: Final = "httpSettings.defaultHostForHttp10"
_CASE: Final = "httpSettings.preserveHttp1HeaderCase"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Header names keep their case towards clients; towards backends only where those are told to, too."""
    options: dict[str, Any] = {
        "accept_http_10": bool(given.value(_ACCEPT)),
        "default_host_for_http_10": str(given.value(_HOST) or ""),
    }
    if given.value(_CASE):
        formatter = extension(
            "envoy.http.stateful_header_formatters.preserve_case",
            "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig",
            PreserveCaseFormatterConfig(),
        )
        options["header_key_format"] = construct(Http1ProtocolOptionsHeaderKeyFormat, stateful_formatter=formatter)
    return managed(http_protocol_options=construct(Http1ProtocolOptions, **options))


FEATURE: Final = Feature((_ACCEPT, _HOST, _CASE), effect)
