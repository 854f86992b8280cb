"""Where something listens, or is."""

from __future__ import annotations

from envoy_data_plane.envoy.config.core.v3 import Address, SocketAddress

from engine.envoy.wire import construct


def address(host: str, port: int) -> Address:
    """A TCP socket address; "::" takes IPv4 too."""
    socket = construct(SocketAddress, address=host, port_value=port, ipv4_compat=host == "::")
    return construct(Address, socket_address=socket)
