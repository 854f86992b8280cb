"""What surrounds a piece of config when it is judged alone, such as a listener for a certificate; it judges nothing."""

from __future__ import annotations

from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import TransportSocket
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManager
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CommonTlsContext,
    DownstreamTlsContext,
    SdsSecretConfig,
    UpstreamTlsContext,
)
from envoy_data_plane.google.protobuf import Any as ProtoAny

from engine.envoy.address import address
from engine.envoy.listener import http_filters
from engine.envoy.typed import packed
from engine.envoy.wire import construct, encode, frame
from engine.fields import fields
from engine.policies.features import STANDING

_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TLS = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_UPSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_NAME = "judged"


def static_cluster() -> Cluster:
    """A cluster whose endpoints stand in it (Cluster.load_assignment=33, to be added)."""
    return construct(Cluster, name=_NAME, connect_timeout=timedelta(seconds=5), type=ClusterDiscoveryType.STATIC)


def connection_manager() -> HttpConnectionManager:
    """An HTTP connection manager as our listeners have it, without routes."""
    return construct(HttpConnectionManager, stat_prefix=_NAME, http_filters=http_filters(STANDING))


def listener_of(manager: bytes, socket: TransportSocket | None = None) -> Listener:
    """A listener of one chain with an encoded connection manager."""
    config = construct(ProtoAny, type_url=f"type.googleapis.com/{_MANAGER}", value=manager)
    network = construct(Filter, name="envoy.filters.network.http_connection_manager", typed_config=config)
    chain = construct(FilterChain, filters=[network], transport_socket=socket)
    return construct(Listener, name=_NAME, address=address("127.0.0.1", 1), filter_chains=[chain])


def chainless_listener() -> Listener:
    """A listener without filter chains (Listener.filter_chains=3, to be added)."""
    return construct(Listener, name=_NAME, address=address("127.0.0.1", 1))


def whole(listener: bytes) -> bytes:
    """A listener as its fragment says it, with some chain where it would have none: Envoy takes none without.

    Listener.filter_chains=3, udp_listener_config=18. Raises Malformed.
    """
    if any(number in (3, 18) for number, _ in fields(listener)):
        return listener
    return listener + frame(3, encode(listener_of(encode(connection_manager()) + b"\x22\x00").filter_chains[0]))


def trusting_cluster(secret: str) -> Cluster:
    """A cluster that trusts the authorities of a static secret: it needs no certificate of its own beside them."""
    trusts = construct(
        UpstreamTlsContext,
        common_tls_context=construct(
            CommonTlsContext, validation_context_sds_secret_config=construct(SdsSecretConfig, name=secret)
        ),
    )
    socket = construct(TransportSocket, name="envoy.transport_sockets.tls", typed_config=packed(_UPSTREAM_TLS, trusts))
    return construct(
        Cluster,
        name=_NAME,
        connect_timeout=timedelta(seconds=5),
        type=ClusterDiscoveryType.STATIC,
        transport_socket=socket,
    )


def terminating_listener(secret: str) -> Listener:
    """A listener that ends TLS with a static secret."""
    context = construct(
        DownstreamTlsContext,
        common_tls_context=construct(
            CommonTlsContext, tls_certificate_sds_secret_configs=[construct(SdsSecretConfig, name=secret)]
        ),
    )
    socket = construct(TransportSocket, name="envoy.transport_sockets.tls", typed_config=packed(_TLS, context))
    # HttpConnectionManager.route_config=4: an empty one.
    return listener_of(encode(connection_manager()) + b"\x22\x00", socket)
