"""`http1ProtocolOptions`: how HTTP/1 is spoken; nothing where the backend speaks HTTP/2."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import Http1ProtocolOptionsHeaderKeyFormat
from envoy_data_plane.envoy.extensions.http.header_formatters.preserve_case.v3 import PreserveCaseFormatterConfig

from engine.envoy.shape import Shape
from engine.envoy.typed import extension
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use, given

_NAME: Final = "envoy.http.stateful_header_formatters.preserve_case"
_TYPE: Final = "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"


def _shape(block: Json, _: Use) -> Shape:
    case = None
    if block.get("preserveHttp1HeaderCase"):
        formatter = extension(_NAME, _TYPE, construct(PreserveCaseFormatterConfig))
        case = construct(Http1ProtocolOptionsHeaderKeyFormat, stateful_formatter=formatter)
    return Shape(
        http1=given(
            enable_trailers=block.get("enableTrailers"),
            header_key_format=case,
            override_stream_error_on_invalid_http_message=block.get("overrideStreamErrorOnInvalidHttpMessage"),
        )
    )


FEATURE: Final = Feature("http1ProtocolOptions", _shape)
