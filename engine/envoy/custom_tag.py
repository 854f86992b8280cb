"""What spans tell under a name, as kgateway's attributes of tracing say it."""

from __future__ import annotations

from typing import Any, Final

from envoy_data_plane.envoy.type.metadata.v3 import (
    MetadataKey,
    MetadataKeyPathSegment,
    MetadataKind,
    MetadataKindCluster,
    MetadataKindHost,
    MetadataKindRequest,
    MetadataKindRoute,
)
from envoy_data_plane.envoy.type.tracing.v3 import (
    CustomTag,
    CustomTagEnvironment,
    CustomTagHeader,
    CustomTagLiteral,
    CustomTagMetadata,
)

from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.resolve.manifest import items, mapping


def custom_tag(block: Json) -> CustomTag:
    """The tag of an attribute, which has exactly one value (CustomAttribute)."""
    environment, header = mapping(block.get("environment")), mapping(block.get("requestHeader"))
    made: dict[str, Any] = {}
    if "literal" in block:
        made["literal"] = construct(CustomTagLiteral, value=str(mapping(block.get("literal")).get("value", "")))
    elif environment:
        made["environment"] = construct(CustomTagEnvironment, **_named(environment))
    elif header:
        made["request_header"] = construct(CustomTagHeader, **_named(header))
    else:
        made["metadata"] = _metadata(mapping(block.get("metadata")))
    return construct(CustomTag, tag=str(block.get("name", "")), **made)


def _named(block: Json) -> dict[str, str]:
    return {"name": str(block.get("name", "")), "default_value": str(block.get("defaultValue") or "")}


_KINDS: Final = {
    "Request": ("request", MetadataKindRequest),
    "Route": ("route", MetadataKindRoute),
    "Cluster": ("cluster", MetadataKindCluster),
    "Host": ("host", MetadataKindHost),
}


def _metadata(block: Json) -> CustomTagMetadata:
    key = mapping(block.get("metadataKey"))
    name, cls = _KINDS[str(block.get("kind"))]
    path = [construct(MetadataKeyPathSegment, key=str(one.get("key"))) for one in items(key.get("path"))]
    return construct(
        CustomTagMetadata,
        kind=construct(MetadataKind, **{name: construct(cls)}),
        metadata_key=construct(MetadataKey, key=str(key.get("key")), path=path),
        default_value=str(block.get("defaultValue") or ""),
    )
