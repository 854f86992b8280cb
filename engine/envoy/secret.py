"""Certificates, authorities and texts as SDS secrets; the only messages that hold key material in clear, in memory."""

from __future__ import annotations

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CertificateValidationContextTrustChainVerification,
    GenericSecret,
    Secret,
    TlsCertificate,
)

from engine.envoy.wire import construct


def certificate(name: str, chain: bytes, key: bytes) -> Secret:
    """A certificate chain with its private key, both PEM."""
    pair = construct(
        TlsCertificate,
        certificate_chain=construct(DataSource, inline_bytes=chain),
        private_key=construct(DataSource, inline_bytes=key),
    )
    return construct(Secret, name=name, tls_certificate=pair)


def authorities(name: str, bundle: str, *, insecure: bool) -> Secret:
    """Who must have signed the certificates of clients, as PEM; `insecure` lets in all others, too."""
    unverified = CertificateValidationContextTrustChainVerification.ACCEPT_UNTRUSTED
    context = construct(
        CertificateValidationContext,
        trusted_ca=construct(DataSource, inline_string=bundle),
        **({"trust_chain_verification": unverified} if insecure else {}),
    )
    return construct(Secret, name=name, validation_context=context)


def text(name: str, value: bytes) -> Secret:
    """A secret text."""
    return construct(
        Secret, name=name, generic_secret=construct(GenericSecret, secret=construct(DataSource, inline_bytes=value))
    )
