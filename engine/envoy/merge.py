"""Which policies made a message what it is, in its metadata under kgateway's names: for access logs and people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envoy_data_plane.envoy.config.core.v3 import Metadata
from envoy_data_plane.google.protobuf import ListValue, Struct, Value

from engine.envoy.wire import construct
from engine.ref import Ref


def merge_metadata(kind: str, group: str, fields: Mapping[str, tuple[Ref, ...]]) -> dict[str, Any]:
    """`filter_metadata` that tells of each top-level field whose it is; nothing where there is none."""
    if not fields:
        return {}
    told = {name: _names(policies) for name, policies in fields.items()}
    return {f"merge.{kind}.{group}": construct(Struct, fields=told)}


def _names(policies: tuple[Ref, ...]) -> Value:
    texts = [f"{one.group}/{one.kind}/{one.namespace}/{one.name}" for one in policies]
    return construct(Value, list_value=construct(ListValue, values=[construct(Value, string_value=t) for t in texts]))


def metadata(*parts: Mapping[str, Any]) -> Metadata | None:
    """Parts of `filter_metadata` as one message; None for none."""
    together = {name: struct for part in parts for name, struct in part.items()}
    return construct(Metadata, filter_metadata=together) if together else None
