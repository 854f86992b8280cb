"""What slips through: config of the engine's own, made into what only Envoy would refuse, in each kind of fragment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption, TransportSocket
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener, ListenerFilter
from envoy_data_plane.envoy.config.route.v3 import Route, RouteConfiguration, RouteMatch, VirtualHost
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher

from engine.envoy.listener import address
from engine.envoy.wire import construct, encode
from engine.seal import Sealer
from engine.update import Fragment, FragmentKind
from tests.support.certificate import pair


def slipped(fragment: Fragment, sealer: Sealer) -> Fragment:
    """The fragment as no Envoy takes it, under the same version: whoever looks for the guilty one must ask Envoy."""
    return _WAYS[fragment.key.kind](fragment, sealer)


def _more(fragment: Fragment, more: bytes) -> Fragment:
    # Messages that stand one after the other are merged.
    return replace(fragment, payload=fragment.payload + more)


def _cluster(fragment: Fragment, _: Sealer) -> Fragment:
    return _more(fragment, encode(construct(Cluster, transport_socket=construct(TransportSocket, name="no.such"))))


def _endpoints(fragment: Fragment, _: Sealer) -> Fragment:
    end = construct(LbEndpoint, endpoint=construct(Endpoint, address=address("not-an-ip", 1)))
    return _more(
        fragment,
        encode(construct(ClusterLoadAssignment, endpoints=[construct(LocalityLbEndpoints, lb_endpoints=[end])])),
    )


def _listener(fragment: Fragment, _: Sealer) -> Fragment:
    return _more(fragment, encode(construct(Listener, listener_filters=[construct(ListenerFilter, name="no.such")])))


def _filter_chain(fragment: Fragment, _: Sealer) -> Fragment:
    return _more(fragment, encode(construct(FilterChain, filters=[construct(Filter, name="no.such")])))


def _route(fragment: Fragment, _: Sealer) -> Fragment:
    match = construct(RouteMatch, safe_regex=construct(RegexMatcher, regex="["))
    return _more(fragment, encode(construct(Route, match=match)))


def _route_config(fragment: Fragment, _: Sealer) -> Fragment:
    header = construct(HeaderValueOption, header=construct(HeaderValue, key="x", value="%NOPE%"))
    return _more(fragment, encode(construct(RouteConfiguration, response_headers_to_add=[header])))


def _virtual_host(fragment: Fragment, _: Sealer) -> Fragment:
    header = construct(HeaderValueOption, header=construct(HeaderValue, key="x", value="%NOPE%"))
    return _more(fragment, encode(construct(VirtualHost, response_headers_to_add=[header])))


def _secret(fragment: Fragment, sealer: Sealer) -> Fragment:
    context = str(fragment.key).encode()
    secret = Secret.parse(sealer.unseal(fragment.payload, context))
    assert secret.tls_certificate is not None
    assert secret.tls_certificate.private_key is not None
    secret.tls_certificate.private_key.inline_bytes = pair(ec.generate_private_key(ec.SECP256R1()))[1]
    return replace(fragment, payload=sealer.seal(encode(secret), context))


_WAYS: dict[FragmentKind, Callable[[Fragment, Sealer], Fragment]] = {
    FragmentKind.CLUSTER: _cluster,
    FragmentKind.ENDPOINTS: _endpoints,
    FragmentKind.LISTENER: _listener,
    FragmentKind.FILTER_CHAIN: _filter_chain,
    FragmentKind.ROUTE: _route,
    FragmentKind.ROUTE_CONFIG: _route_config,
    FragmentKind.SECRET: _secret,
    FragmentKind.VIRTUAL_HOST: _virtual_host,
}
