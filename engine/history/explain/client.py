"""Whom a listener believes a request to come from, and over which scheme: use_remote_address and x-forwarded-for.

Source: HttpConnectionManager.use_remote_address, xff_num_trusted_hops and original_ip_detection_extensions.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManager
from envoy_data_plane.envoy.extensions.http.original_ip_detection.xff.v3 import XffConfig

from engine.envoy.typed import unpacked
from engine.history.explain.request import Request

_FOR: Final = "x-forwarded-for"
_PROTO: Final = "x-forwarded-proto"
_LOOPBACK: Final = ("127.0.0.1", "::1")
OWN: Final = "(the proxy's own address)"
"""Stands in x-forwarded-for: that of a peer on the proxy's own machine Envoy writes so."""


def believed(manager: HttpConnectionManager, request: Request, headers: dict[str, str]) -> tuple[str, str]:
    """The client's address and the scheme; `headers` get x-forwarded-for and x-forwarded-proto as routes see them."""
    told = [one.strip() for one in headers.get(_FOR, "").split(",")] if _FOR in headers else []
    trusts = not manager.use_remote_address or manager.xff_num_trusted_hops > 0
    client, appends = _client(manager, told, request.client)
    if appends:
        peer = OWN if request.client in _LOOPBACK else request.client
        headers[_FOR] = ",".join([*([headers[_FOR]] if _FOR in headers else []), peer])
    if not trusts or _PROTO not in headers:
        headers[_PROTO] = request.scheme
    said = headers[_PROTO].lower()
    return client, said if said in ("http", "https") else request.scheme


def _client(manager: HttpConnectionManager, told: list[str], peer: str) -> tuple[str, bool]:
    """The address, and whether the peer's is written behind those in x-forwarded-for."""
    for one in manager.original_ip_detection_extensions:
        inside = unpacked(one.typed_config) if one.typed_config is not None else None
        if isinstance(inside, XffConfig) and inside.xff_trusted_cidrs is not None:
            ranges = [
                ipaddress.ip_network(f"{cidr.address_prefix}/{cidr.prefix_len or 0}")
                for cidr in inside.xff_trusted_cidrs.cidrs
            ]
            return _untrusted(told, peer, ranges), not _is_within(peer, ranges) or inside.skip_xff_append is False
    hops = manager.xff_num_trusted_hops
    if manager.use_remote_address:
        return (_last(told, hops - 1) or peer if hops else peer), not manager.skip_xff_append
    return _last(told, hops) or peer, False


def _last(told: list[str], back: int) -> str:
    """The address so many places before the last one; "" where there is none."""
    if back >= len(told):
        return ""
    return told[-1 - back] if _is_address(told[-1 - back]) else ""


def _untrusted(told: list[str], peer: str, ranges: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> str:
    """The last that no trusted proxy has; a peer that is not trusted is the client itself."""
    if not _is_within(peer, ranges):
        return peer
    for one in reversed(told):
        if not _is_address(one):
            return peer
        if not _is_within(one, ranges):
            return one
    return told[0] if told else peer


def _is_within(text: str, ranges: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(ipaddress.ip_address(text) in one for one in ranges)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
