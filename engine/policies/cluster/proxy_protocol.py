"""`upstreamProxyProtocol`: connections begin with the address of the client (the PROXY protocol)."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import ProxyProtocolConfig, ProxyProtocolConfigVersion, TransportSocket
from envoy_data_plane.envoy.extensions.transport_sockets.proxy_protocol.v3 import ProxyProtocolUpstreamTransport
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer.v3 import RawBuffer

from engine.envoy.shape import Around, Shape
from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use

_TYPE: Final = "envoy.extensions.transport_sockets"


def _shape(block: Json, _: Use) -> Shape:
    return Shape(around=_around(ProxyProtocolConfigVersion[str(block.get("version", "V1"))]))


def _around(version: ProxyProtocolConfigVersion) -> Around:
    def wrapped(inner: TransportSocket | None) -> TransportSocket:
        return construct(
            TransportSocket,
            name="envoy.transport_sockets.upstream_proxy_protocol",
            typed_config=packed(
                f"{_TYPE}.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
                construct(
                    ProxyProtocolUpstreamTransport,
                    config=construct(ProxyProtocolConfig, version=version),
                    transport_socket=inner or _raw(),
                ),
            ),
        )

    return wrapped


def _raw() -> TransportSocket:
    config = packed(f"{_TYPE}.raw_buffer.v3.RawBuffer", construct(RawBuffer))
    return construct(TransportSocket, name="envoy.transport_sockets.raw_buffer", typed_config=config)


FEATURE: Final = Feature("upstreamProxyProtocol", _shape)
