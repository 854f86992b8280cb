"""Messages inside `Any`, and the config sources that point back to the publisher."""

from __future__ import annotations

from functools import cache

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import AggregatedConfigSource, ApiVersion, ConfigSource, TypedExtensionConfig
from envoy_data_plane.google.protobuf import Any as ProtoAny
from envoy_data_plane.message_pool import default_message_pool

from engine.envoy.wire import construct, encode


def packed(type_name: str, message: Message) -> ProtoAny:
    """`message` as an Any; `type_name` such as "envoy.extensions.filters.http.router.v3.Router"."""
    return construct(ProtoAny, type_url=f"type.googleapis.com/{type_name}", value=encode(message), _packed=message)


def unpacked(value: ProtoAny) -> Message:
    """The message inside an Any; parsed only when it was not packed here."""
    inside: Message | None = value.__dict__.get("_packed")
    return default_message_pool.url_to_type[value.type_url].parse(value.value) if inside is None else inside


def extension(name: str, type_name: str, message: Message) -> TypedExtensionConfig:
    """A named extension with its config."""
    return construct(TypedExtensionConfig, name=name, typed_config=packed(type_name, message))


@cache
def ads() -> ConfigSource:
    """A source that says: over the same aggregated stream."""
    return construct(
        ConfigSource,
        ads=construct(AggregatedConfigSource),
        resource_api_version=ApiVersion.V3,
        initial_fetch_timeout=None,
    )
