"""What surrounds a piece of config when it is judged alone, such as a listener for a certificate; it judges nothing.

In bytes: to import Envoy's classes takes 1.5 s of CPU, which the first bad object would wait for.
"""

from __future__ import annotations

from typing import Final

from engine.envoy.wire import frame
from engine.fields import fields

_ROUTER: Final = "envoy.extensions.filters.http.router.v3.Router"
_MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TLS: Final = "envoy.extensions.transport_sockets.tls.v3"
_NAME: Final = frame(1, b"judged")
"""Field 1 of whatever has a name."""
# Address.socket_address=1, SocketAddress: address=2, port_value=3.
_ADDRESS: Final = frame(1, frame(2, b"127.0.0.1") + b"\x18\x01")
_FIVE_SECONDS: Final = b"\x08\x05"


def static_cluster(more: bytes = b"") -> bytes:
    """A cluster whose endpoints are to be added, as Cluster.load_assignment=33."""
    # Cluster: connect_timeout=4, type=2, where STATIC is the default.
    return _NAME + frame(4, _FIVE_SECONDS) + more


def trusting_cluster(secret: str) -> bytes:
    """A cluster that trusts the authorities of a static secret: it needs no certificate of its own beside them."""
    # Cluster.transport_socket=24, CommonTlsContext.validation_context_sds_secret_config=7.
    return static_cluster(frame(24, _socket("UpstreamTlsContext", frame(7, frame(1, secret.encode())))))


def manager(routes: bytes) -> bytes:
    """An HTTP connection manager with a RouteConfiguration.

    Its filters are no matter: a proxy, which is given its routes apart, looks at them as little.
    """
    # HttpConnectionManager: stat_prefix=2, route_config=4, http_filters=5; HttpFilter: name=1, typed_config=4.
    router = frame(1, b"envoy.filters.http.router") + frame(4, _any(_ROUTER, b""))
    return frame(2, b"judged") + frame(4, routes) + frame(5, router)


def chainless_listener(more: bytes = b"") -> bytes:
    """A listener whose filter chains are to be added, as Listener.filter_chains=3."""
    return _NAME + frame(2, _ADDRESS) + more


def listener_of(routes: bytes) -> bytes:
    """A listener of one chain with a RouteConfiguration."""
    return chainless_listener(frame(3, _chain(routes)))


def terminating_listener(secret: str) -> bytes:
    """A listener that ends TLS with a static secret."""
    # FilterChain.transport_socket=6, CommonTlsContext.tls_certificate_sds_secret_configs=6.
    socket = _socket("DownstreamTlsContext", frame(6, frame(1, secret.encode())))
    return chainless_listener(frame(3, _chain(b"") + frame(6, socket)))


def whole(listener: bytes) -> bytes:
    """A listener as its fragment says it, with some chain where it would have none: Envoy takes none without.

    Listener.filter_chains=3, udp_listener_config=18. Raises Malformed.
    """
    if any(number in (3, 18) for number, _ in fields(listener)):
        return listener
    return listener + frame(3, _chain(b""))


def _chain(routes: bytes) -> bytes:
    # FilterChain.filters=3; Filter: name=1, typed_config=4.
    config = frame(4, _any(_MANAGER, manager(routes)))
    return frame(3, frame(1, b"envoy.filters.network.http_connection_manager") + config)


def _socket(context: str, common: bytes) -> bytes:
    # TransportSocket: name=1, typed_config=3; DownstreamTlsContext and UpstreamTlsContext: common_tls_context=1.
    return frame(1, b"envoy.transport_sockets.tls") + frame(3, _any(f"{_TLS}.{context}", frame(1, common)))


def _any(name: str, value: bytes) -> bytes:
    return frame(1, f"type.googleapis.com/{name}".encode()) + (frame(2, value) if value else b"")
