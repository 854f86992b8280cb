"""Which policies made a message what it is, in its metadata under kgateway's names: for access logs and people."""

from __future__ import annotations

from collections.abc import Mapping

from envoy_data_plane.google.protobuf import ListValue, Struct, Value

from engine.envoy.wire import construct
from engine.ref import Ref


def merge_metadata(name: str, fields: Mapping[str, tuple[Ref, ...]]) -> dict[str, Struct]:
    """`filter_metadata` that tells of each top-level field whose it is; nothing where there is none."""
    if not fields:
        return {}
    return {name: construct(Struct, fields={field: _names(policies) for field, policies in fields.items()})}


def _names(policies: tuple[Ref, ...]) -> Value:
    texts = [f"{one.group}/{one.kind}/{one.namespace}/{one.name}" for one in policies]
    return construct(Value, list_value=construct(ListValue, values=[construct(Value, string_value=t) for t in texts]))
