"""Both ends of the way between clusters: how a proxy asks another's remote gateway, and what is let in there."""

from __future__ import annotations

from typing import Any, Final

from envoy_data_plane.envoy.config.cluster.v3 import ClusterTransportSocketMatch
from envoy_data_plane.envoy.config.core.v3 import DataSource, TransportSocket
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, FilterChainMatch
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy.v3 import TcpProxy
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    DownstreamTlsContext,
    SdsSecretConfig,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    TlsParameters,
    TlsParametersTlsProtocol,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from engine.envoy.format_string import struct
from engine.envoy.typed import ads, packed
from engine.envoy.upstream_tls import tls_socket
from engine.envoy.wire import construct
from engine.resolve.remote_gateway import GATEWAYS, Way

IDENTITY: Final = "penstock.dev/identity"
"""The SDS name of the certificate that a Gateway's proxies show to those of other clusters."""
CLUSTER: Final = "penstock.dev/cluster"
"""What chooses the way to an endpoint, in its metadata: the cluster whose remote gateway it is."""
_DOWNSTREAM: Final = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_TCP: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


def way(value: Way, authority: str) -> ClusterTransportSocketMatch:
    """How a remote gateway is asked for a port: only one of that very cluster is believed."""
    tls = construct(
        UpstreamTlsContext, sni=value.server_name, common_tls_context=_common(authority, f"{GATEWAYS}{value.cluster}/")
    )
    return construct(
        ClusterTransportSocketMatch,
        name=value.cluster,
        match=struct({CLUSTER: value.cluster}),
        transport_socket=tls_socket(tls),
    )


def entry(name: str, asked: str, cluster: str, authority: str) -> FilterChain:
    """Hands on the connections that ask for a name (SNI), of proxies of the domain and nobody else."""
    tls = construct(
        DownstreamTlsContext, require_client_certificate=True, common_tls_context=_common(authority, GATEWAYS)
    )
    socket = construct(TransportSocket, name="envoy.transport_sockets.tls", typed_config=packed(_DOWNSTREAM, tls))
    proxy = construct(TcpProxy, stat_prefix="remote", cluster=cluster)
    return construct(
        FilterChain,
        name=name,
        filter_chain_match=construct(FilterChainMatch, server_names=[asked]),
        filters=[construct(Filter, name="envoy.filters.network.tcp_proxy", typed_config=packed(_TCP, proxy))],
        transport_socket=socket,
    )


def _common(authority: str, begins: str) -> CommonTlsContext:
    """TLS 1.3 with the proxy's own certificate, and whom to believe: signed by ours, with a URI that begins so."""
    latest = TlsParametersTlsProtocol.TLSv1_3
    peers: dict[str, Any] = {
        "trusted_ca": construct(DataSource, inline_string=authority),
        "match_typed_subject_alt_names": [
            construct(
                SubjectAltNameMatcher,
                san_type=SubjectAltNameMatcherSanType.URI,
                matcher=construct(StringMatcher, prefix=begins),
            )
        ],
    }
    return construct(
        CommonTlsContext,
        tls_params=construct(TlsParameters, tls_minimum_protocol_version=latest, tls_maximum_protocol_version=latest),
        tls_certificate_sds_secret_configs=[construct(SdsSecretConfig, name=IDENTITY, sds_config=ads())],
        validation_context=construct(CertificateValidationContext, **peers),
    )
