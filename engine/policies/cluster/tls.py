"""`tls`: the backend is spoken to over TLS, or, where that cannot be met, not at all."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SdsSecretConfig,
    TlsCertificate,
    UpstreamTlsContext,
)

from engine.envoy.names import secret_name
from engine.envoy.shape import Shape
from engine.envoy.tls_parameters import tls_parameters
from engine.envoy.typed import ads
from engine.envoy.upstream_tls import SYSTEM, san, tls_socket
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.backend_config.feature import Asked, Feature, Use, given
from engine.ref import Ref
from engine.resolve.authority import authority
from engine.resolve.certificate import Checked, Served, served_certificate, unread
from engine.resolve.manifest import is_unread, mapping, object_of, served_object, spec_of, texts
from engine.resolve.values import Problem

_LONGEST: Final = 255
"""Bytes of a protocol's name (RFC 7301 §3.1)."""


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What a block says, and what its secretRef leads to: the proxies' own certificate, and authorities as PEM."""

    block: Json = field(default_factory=dict)
    client: Ref | None = None
    bundle: str = ""


def _resolved(graph: Reader, key: Asked) -> _Resolved | Problem:
    block = mapping(spec_of(served_object(graph, key.gateway, key.policy)).get("tls"))
    if "secretRef" not in block:
        return _Resolved(block)
    secret = Ref(key.policy.cluster, "", "Secret", key.policy.namespace, str(mapping(block["secretRef"]).get("name")))
    object_ = object_of(graph, secret)
    if object_ is None:
        missing = Problem("Invalid", f"Secret {secret.namespace}/{secret.name} does not exist")
        return unread(secret) if is_unread(graph, secret) else missing
    data = mapping(object_.get("data"))
    wants = not block.get("simpleTLS") and bool({"tls.crt", "tls.key"} & data.keys())
    if not wants and "ca.crt" not in data:
        return Problem("Invalid", f"Secret {secret.namespace}/{secret.name} has nothing that is asked of it")
    found = graph.get(served_certificate, Served(key.gateway, secret)) if wants else None
    if isinstance(found, Problem):
        return found
    bundle = authority(graph, secret, ("Secret",), key.gateway) if "ca.crt" in data else ""
    if isinstance(bundle, Problem):
        return bundle
    return _Resolved(block, secret if isinstance(found, Checked) else None, bundle)


def _shape(value: _Resolved | Problem, _: Use) -> Shape | Problem:
    if isinstance(value, Problem):
        return value
    block = value.block
    if isinstance(parameters := tls_parameters(mapping(block.get("parameters"))), Problem):
        return parameters
    if isinstance(trusted := _trusted(value), Problem):
        return trusted
    if isinstance(own := _own(value), Problem):
        return own
    alpn = texts(block.get("alpnProtocols"))
    if not all(0 < len(one.encode()) <= _LONGEST for one in alpn) or len(alpn) > _LONGEST:
        return Problem("Invalid", f"alpnProtocols must be at most {_LONGEST} names of 1 to {_LONGEST} bytes (RFC 7301)")
    sni = str(block.get("sni", ""))
    if "\0" in sni:
        return Problem("Invalid", "sni holds a zero byte: write the name of a host")
    context = construct(
        UpstreamTlsContext,
        sni=sni,
        allow_renegotiation=bool(block.get("allowRenegotiation")),
        common_tls_context=construct(
            CommonTlsContext,
            alpn_protocols=list(alpn),
            **given(tls_params=parameters, validation_context=trusted),
            **own,
        ),
    )
    secrets = (value.client,) if value.client is not None else ()
    return Shape({"transport_socket": tls_socket(context)}, alpn=alpn, secrets=secrets, sealed=bool(value.bundle))


def _own(value: _Resolved) -> dict[str, Any] | Problem:
    """The proxies' own certificate: by SDS, or in files."""
    files = mapping(value.block.get("files"))
    certificate, key = files.get("tlsCertificate"), files.get("tlsKey")
    if value.client is not None:
        config = construct(SdsSecretConfig, name=secret_name(value.client), sds_config=ads())
        return {"tls_certificate_sds_secret_configs": [config]}
    if value.block.get("simpleTLS") or not (certificate or key):
        return {}
    if not (certificate and key):
        return Problem("Invalid", "files has one of tlsCertificate and tlsKey: a certificate needs its key")
    pair = construct(
        TlsCertificate,
        certificate_chain=construct(DataSource, filename=certificate),
        private_key=construct(DataSource, filename=key),
    )
    return {"tls_certificates": [pair]}


def _trusted(value: _Resolved) -> CertificateValidationContext | Problem | None:
    """Whom to believe; None for whomever, where that is asked for or nobody is named."""
    block, names = value.block, texts(value.block.get("verifySubjectAltNames"))
    if block.get("insecureSkipVerify"):
        return None
    known = block.get("wellKnownCACertificates")
    if known not in (None, "System"):
        return Problem("Invalid", f"wellKnownCACertificates {known} is not known: use System")
    if "secretRef" in block or "files" in block:
        file = mapping(block.get("files")).get("rootCA")
        source = {"inline_string": value.bundle} if value.bundle else {"filename": file}
        if not (value.bundle or file):
            text = "verifySubjectAltNames needs a root CA: ca.crt in the Secret, or rootCA in files"
            return Problem("Invalid", text) if names else None
    else:
        source, names = {"filename": SYSTEM}, names or texts([block.get("sni")])
    return construct(
        CertificateValidationContext,
        trusted_ca=construct(DataSource, **source),
        match_typed_subject_alt_names=[san(_kind(one), one) for one in names],
    )


def _kind(name: str) -> str:
    """What a name in a certificate is (RFC 5280 §4.2.1.6)."""
    if "://" in name:
        return "URI"
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "Email" if "@" in name else "Hostname"
    return "Address"


FEATURE: Final = Feature("tls", _shape, _resolved, closes=True)
