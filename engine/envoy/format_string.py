"""Lines of logs and bodies of local replies: texts and JSON that Envoy formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import DataSource, SubstitutionFormatString, TypedExtensionConfig
from envoy_data_plane.envoy.extensions.formatter.req_without_query.v3 import ReqWithoutQuery
from envoy_data_plane.google.protobuf import ListValue, NullValue, Struct, Value

from engine.envoy.typed import extension
from engine.envoy.wire import construct

_WITHOUT_QUERY: Final = "%REQ_WITHOUT_QUERY("


def text_format(text: str, content_type: str = "") -> SubstitutionFormatString:
    """A text with commands."""
    return construct(
        SubstitutionFormatString,
        text_format_source=construct(DataSource, inline_string=text),
        content_type=content_type,
        formatters=_formatters(text),
    )


def json_format(value: Mapping[str, Any], content_type: str = "") -> SubstitutionFormatString:
    """JSON with commands in its texts."""
    return construct(
        SubstitutionFormatString,
        json_format=struct(value),
        content_type=content_type,
        formatters=_formatters(str(value)),
    )


def _formatters(text: str) -> list[TypedExtensionConfig]:
    if _WITHOUT_QUERY not in text:
        return []
    name = "envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"
    return [extension("envoy.formatter.req_without_query", name, ReqWithoutQuery())]


def struct(value: Mapping[str, Any]) -> Struct:
    """A JSON object as a message."""
    return construct(Struct, fields={str(name): _value(one) for name, one in value.items()})


def _value(value: Any) -> Value:
    match value:
        case None:
            return construct(Value, null_value=NullValue.NULL_VALUE)
        case bool():
            return construct(Value, bool_value=value)
        case int() | float():
            return construct(Value, number_value=float(value))
        case str():
            return construct(Value, string_value=value)
        case Mapping():
            return construct(Value, struct_value=struct(value))
    return construct(Value, list_value=construct(ListValue, values=[_value(one) for one in value]))
