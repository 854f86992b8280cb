"""TLS towards backends: whom to trust and by which name."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.core.v3 import DataSource, TransportSocket
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SdsSecretConfig,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from engine.envoy.typed import ads, packed
from engine.envoy.wire import construct
from engine.resolve.values import BackendTls

SYSTEM: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Where the proxies' image keeps the certificates of its system."""
_SANS: Final = {
    "Hostname": SubjectAltNameMatcherSanType.DNS,
    "URI": SubjectAltNameMatcherSanType.URI,
    "Email": SubjectAltNameMatcherSanType.EMAIL,
    "Address": SubjectAltNameMatcherSanType.IP_ADDRESS,
}
_SOCKET: Final = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def upstream_tls(value: BackendTls) -> TransportSocket:
    """Speaks TLS with the policy's SNI, and believes only a certificate that it asks for."""
    trusted = {"inline_string": value.bundle} if value.bundle else {"filename": SYSTEM}
    context = construct(
        UpstreamTlsContext,
        sni=value.hostname,
        common_tls_context=construct(
            CommonTlsContext,
            tls_certificate_sds_secret_configs=[construct(SdsSecretConfig, name=value.client, sds_config=ads())]
            if value.client
            else [],
            validation_context=construct(
                CertificateValidationContext,
                trusted_ca=construct(DataSource, **trusted),
                match_typed_subject_alt_names=[san(kind, name) for kind, name in value.names],
            ),
        ),
    )
    return tls_socket(context)


def tls_socket(context: UpstreamTlsContext) -> TransportSocket:
    """The transport socket that speaks TLS so."""
    return construct(TransportSocket, name="envoy.transport_sockets.tls", typed_config=packed(_SOCKET, context))


def san(kind: str, name: str) -> SubjectAltNameMatcher:
    """A name of a kind (Hostname, URI, Email, Address); a wildcard stands for any name below it, and for itself."""
    pattern = {"suffix": name[1:]} if name.startswith("*.") else {"exact": name}
    return construct(SubjectAltNameMatcher, san_type=_SANS[kind], matcher=construct(StringMatcher, **pattern))
