"""What a rule answers itself: the body as it is, or a format that Envoy makes a body of."""

from __future__ import annotations

from typing import Any

import orjson
from envoy_data_plane.envoy.config.core.v3 import DataSource, SubstitutionFormatString
from envoy_data_plane.envoy.config.route.v3 import DirectResponseAction
from envoy_data_plane.google.protobuf import ListValue, NullValue, Struct, Value

from engine.envoy.wire import construct
from engine.resolve.values import Direct


def direct_response(value: Direct) -> DirectResponseAction:
    """The action of a DirectResponse."""
    return construct(
        DirectResponseAction,
        status=value.status,
        body=construct(DataSource, inline_string=value.body) if value.body else None,
        body_format=_format(value) if value.text or value.json else None,
    )


def _format(value: Direct) -> SubstitutionFormatString:
    form: dict[str, Any] = (
        {"json_format": _struct(orjson.loads(value.json))}
        if value.json
        else {"text_format_source": construct(DataSource, inline_string=value.text)}
    )
    return construct(SubstitutionFormatString, content_type=value.content_type, **form)


def _struct(fields: dict[str, Any]) -> Struct:
    return construct(Struct, fields={name: _value(one) for name, one in fields.items()})


def _value(one: Any) -> Value:
    match one:
        case None:
            return construct(Value, null_value=NullValue.NULL_VALUE)
        case bool():
            return construct(Value, bool_value=one)
        case int() | float():
            return construct(Value, number_value=float(one))
        case str():
            return construct(Value, string_value=one)
        case dict():
            return construct(Value, struct_value=_struct(one))
        case _:
            return construct(Value, list_value=construct(ListValue, values=[_value(inner) for inner in one]))
