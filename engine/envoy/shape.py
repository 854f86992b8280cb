"""What policies make of a Cluster, and several such as one; it knows no policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import Http1ProtocolOptions, Http2ProtocolOptions, TransportSocket
from envoy_data_plane.envoy.config.core.v3 import HttpProtocolOptions as CommonOptions
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsAutoHttpConfig,
    HttpProtocolOptionsExplicitHttpConfig,
)

from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.ref import Ref
from engine.resolve.values import Protocol

OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
Around = Callable[[TransportSocket | None], TransportSocket]


@dataclass(frozen=True, slots=True)
class Shape:
    """Fields of a Cluster, of its HTTP options, and of its metadata, by name; the one that is set last counts.

    `options` are HTTP options that are neither common nor a version's, `dns` the fields of a DnsCluster. `alpn` are the
    protocols that TLS offers, where somebody wrote them. `around` is put around the transport socket. `secrets` are
    certificates that the proxies need. `sealed`: key material or what may be such stands in the fields.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    common: Mapping[str, Any] = field(default_factory=dict)
    http1: Mapping[str, Any] = field(default_factory=dict)
    http2: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    dns: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    alpn: tuple[str, ...] = ()
    around: Around | None = None
    secrets: tuple[Ref, ...] = ()
    sealed: bool = False

    def over(self, other: Shape) -> Shape:
        """Both as one."""
        return Shape(
            {**other.fields, **self.fields},
            {**other.common, **self.common},
            {**other.http1, **self.http1},
            {**other.http2, **self.http2},
            {**other.options, **self.options},
            {**other.dns, **self.dns},
            {**other.metadata, **self.metadata},
            self.alpn or other.alpn,
            self.around or other.around,
            (*other.secrets, *self.secrets),
            self.sealed or other.sealed,
        )


def http_options(protocol: Protocol, shape: Shape) -> dict[str, Any]:
    """How HTTP is spoken, as typed_extension_protocol_options; nothing where all is as Envoy has it.

    Where TLS may agree on either version, what it agrees on is spoken.
    """
    offered = set(shape.alpn) if protocol is Protocol.HTTP1 else set()
    is_http2 = protocol is Protocol.H2C or ("h2" in offered and "http/1.1" not in offered)
    is_either = offered >= {"h2", "http/1.1"}
    if not (is_http2 or is_either or shape.common or shape.http1 or shape.options):
        return {}
    first = construct(Http1ProtocolOptions, **shape.http1)
    second = construct(Http2ProtocolOptions, **shape.http2)
    if is_either:
        auto = construct(HttpProtocolOptionsAutoHttpConfig, http_protocol_options=first, http2_protocol_options=second)
        spoken: dict[str, Any] = {"auto_config": auto}
    else:
        version = {"http2_protocol_options": second} if is_http2 else {"http_protocol_options": first}
        spoken = {"explicit_http_config": construct(HttpProtocolOptionsExplicitHttpConfig, **version)}
    if shape.common:
        spoken["common_http_protocol_options"] = construct(CommonOptions, **shape.common)
    return {OPTIONS: packed(OPTIONS, construct(HttpProtocolOptions, **spoken, **shape.options))}
