"""What takes connections and datagrams whole: filter chains with a TCP proxy, and listeners with a UDP proxy."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.config.core.v3 import Locality, SocketAddress, SocketAddressProtocol
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, LocalityLbEndpoints
from envoy_data_plane.envoy.config.listener.v3 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    Listener,
    ListenerFilter,
    UdpListenerConfig,
)
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import (
    TcpProxy,
    TcpProxyWeightedCluster,
    TcpProxyWeightedClusterClusterWeight,
)
from envoy_data_plane.envoy.extensions.filters.udp.udp_proxy.v3 import Route, UdpProxyConfig
from envoy_data_plane.envoy.type.v3 import HashPolicy, HashPolicySourceIp
from envoy_data_plane.xds.type.matcher.v3 import Matcher, MatcherOnMatch

from engine.envoy.added import NOTHING, Added
from engine.envoy.address import address
from engine.envoy.cluster import lb_endpoint
from engine.envoy.listener import tls_socket
from engine.envoy.names import BLACKHOLE
from engine.envoy.typed import extension, packed
from engine.envoy.wire import construct
from engine.resolve.endpoint import Endpoint
from engine.resolve.values import StreamChain

_TCP = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_UDP = "envoy.extensions.filters.udp.udp_proxy.v3"
NOWHERE = Endpoint("127.0.0.1", 9)
"""The discard port (RFC 863): datagrams of a share that no backend takes go there, where nobody listens."""


def stream_chain(value: StreamChain, added: Added = NOTHING) -> FilterChain:
    """A filter chain that hands its connections on; without clusters they are closed."""
    hashed = [construct(HashPolicy, source_ip=construct(HashPolicySourceIp))] if value.by_client else []
    proxy = construct(TcpProxy, stat_prefix="tcp", hash_policy=hashed, **_clusters(value.clusters))
    match = construct(FilterChainMatch, server_names=[value.server_name]) if value.server_name else None
    return construct(
        FilterChain,
        name=value.name,
        filter_chain_match=match,
        filters=[construct(Filter, name="envoy.filters.network.tcp_proxy", typed_config=packed(_TCP, proxy))],
        transport_socket=None if value.secrets is None else tls_socket(value.secrets, ()),
        **dict(added.chain),
    )


def _clusters(clusters: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    used = [(name, weight) for name, weight in clusters if weight]
    if len(used) <= 1:
        return {"cluster": used[0][0] if used else BLACKHOLE}
    weights = [construct(TcpProxyWeightedClusterClusterWeight, name=name, weight=weight) for name, weight in used]
    return {"weighted_clusters": construct(TcpProxyWeightedCluster, clusters=weights)}


def udp_listener(name: str, bind: str, port: int) -> Listener:
    """A listener whose datagrams go to the cluster of its own name, by session (RFC 768 ports and addresses)."""
    route = construct(Route, cluster=name)
    matcher = construct(
        Matcher, on_no_match=construct(MatcherOnMatch, action=extension("route", f"{_UDP}.Route", route))
    )
    proxy = construct(UdpProxyConfig, stat_prefix="udp", matcher=matcher)
    place = address(bind, port)
    socket = place.socket_address
    if socket is None:
        raise TypeError(name)
    udp = construct(
        SocketAddress,
        protocol=SocketAddressProtocol.UDP,
        address=bind,
        port_value=port,
        ipv4_compat=socket.ipv4_compat,
    )
    return construct(
        Listener,
        name=name,
        address=construct(type(place), socket_address=udp),
        udp_listener_config=construct(UdpListenerConfig),
        listener_filters=[
            construct(
                ListenerFilter,
                name="envoy.filters.udp_listener.udp_proxy",
                typed_config=packed(f"{_UDP}.UdpProxyConfig", proxy),
            )
        ],
    )


def shares(name: str, parts: tuple[tuple[tuple[Endpoint, ...], int], ...]) -> ClusterLoadAssignment:
    """Endpoints with the weight of all of them together, part by part; a part without any goes nowhere.

    A UDP proxy knows one cluster, so the weights of backends are those of localities within it.
    """
    return construct(
        ClusterLoadAssignment,
        cluster_name=name,
        endpoints=[
            construct(
                LocalityLbEndpoints,
                locality=construct(Locality, sub_zone=str(number)),
                lb_endpoints=[lb_endpoint(one) for one in endpoints or (NOWHERE,)],
                load_balancing_weight=weight,
            )
            for number, (endpoints, weight) in enumerate(parts)
            if weight
        ],
    )
