"""What is put together from bytes around a judged piece is what Envoy's own classes say of it."""

from __future__ import annotations

from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import TransportSocket
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CommonTlsContext,
    DownstreamTlsContext,
    SdsSecretConfig,
    UpstreamTlsContext,
)

from engine.envoy.address import address
from engine.envoy.typed import packed
from engine.envoy.wire import construct, encode
from streams.xds import exhibits

_TLS = "envoy.extensions.transport_sockets.tls.v3"
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"
_FIVE = timedelta(seconds=5)


def _chain(routes: str = "", socket: TransportSocket | None = None) -> FilterChain:
    config = construct(
        HttpConnectionManager,
        stat_prefix="judged",
        route_config=construct(RouteConfiguration, name=routes),
        http_filters=[construct(HttpFilter, name="envoy.filters.http.router", typed_config=packed(_ROUTER, Router()))],
    )
    network = construct(
        Filter, name="envoy.filters.network.http_connection_manager", typed_config=packed(_MANAGER, config)
    )
    return construct(FilterChain, filters=[network], transport_socket=socket)


def _listener(*chains: FilterChain) -> bytes:
    return encode(construct(Listener, name="judged", address=address("127.0.0.1", 1), filter_chains=list(chains)))


def _socket(context: str, config: DownstreamTlsContext | UpstreamTlsContext) -> TransportSocket:
    return construct(
        TransportSocket, name="envoy.transport_sockets.tls", typed_config=packed(f"{_TLS}.{context}", config)
    )


def test_listeners() -> None:
    routes = encode(construct(RouteConfiguration, name="rc"))
    assert exhibits.listener_of(routes) == _listener(_chain("rc"))
    assert exhibits.chainless_listener() == _listener()
    assert exhibits.whole(exhibits.chainless_listener()) == _listener(_chain())
    assert exhibits.whole(_listener(_chain("rc"))) == _listener(_chain("rc"))


def test_what_uses_a_secret() -> None:
    secret = construct(SdsSecretConfig, name="s")
    ends = construct(CommonTlsContext, tls_certificate_sds_secret_configs=[secret])
    down = _socket("DownstreamTlsContext", construct(DownstreamTlsContext, common_tls_context=ends))
    assert exhibits.terminating_listener("s") == _listener(_chain(socket=down))
    trusts = construct(CommonTlsContext, validation_context_sds_secret_config=secret)
    up = _socket("UpstreamTlsContext", construct(UpstreamTlsContext, common_tls_context=trusts))
    cluster = construct(Cluster, name="judged", connect_timeout=_FIVE, transport_socket=up)
    assert exhibits.trusting_cluster("s") == encode(cluster)


def test_a_cluster_of_endpoints() -> None:
    assert exhibits.static_cluster() == encode(construct(Cluster, name="judged", connect_timeout=_FIVE))
