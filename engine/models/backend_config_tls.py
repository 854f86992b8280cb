"""The `tls` of a BackendConfigPolicy."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.models.backend import LocalSecretReference
from engine.models.backend_tls_policy import WELL_KNOWN
from engine.models.base import Model
from engine.models.rules import Rule, Ruled, at_most_one

_Version = Literal["AUTO", "1.0", "1.1", "1.2", "1.3"]
_Text = Annotated[str, Field(min_length=1)]


class TlsParameters(Model):
    """What is offered in the handshake."""

    min_version: _Version | None = None
    max_version: _Version | None = None
    cipher_suites: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()
    signature_algorithms: tuple[str, ...] = ()


class TlsFiles(Ruled):
    """Files that the proxies have."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.tlsCertificate) || has(self.tlsKey) || has(self.rootCA)",
            "At least one of tlsCertificate, tlsKey, or rootCA must be set in TLSFiles",
            lambda self: any((self.tls_certificate, self.tls_key, self.root_ca)),
        ),
    )

    tls_certificate: _Text | None = None
    tls_key: _Text | None = None
    root_ca: Annotated[_Text | None, Field(alias="rootCA")] = None


class Tls(Ruled):
    """Backends are spoken to over TLS. Without any trust source those of the system count."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        at_most_one(
            ("secretRef", "secret_ref"),
            ("files", "files"),
            ("insecureSkipVerify", "insecure_skip_verify"),
            ("wellKnownCACertificates", "well_known_ca_certificates"),
        ),
        Rule(
            "has(self.secretRef) || has(self.files) || has(self.wellKnownCACertificates) || "
            "(has(self.insecureSkipVerify) && self.insecureSkipVerify) || has(self.sni)",
            "sni is required when no trust source is set; set sni, provide secretRef, files, or "
            "wellKnownCACertificates, or set insecureSkipVerify to true",
            lambda self: any(
                (self.secret_ref, self.files, self.well_known_ca_certificates, self.insecure_skip_verify, self.sni)
            ),
        ),
    )

    secret_ref: LocalSecretReference | None = None
    files: TlsFiles | None = None
    well_known_ca_certificates: Annotated[
        Annotated[str, Field(min_length=1, max_length=253, pattern=WELL_KNOWN)] | None,
        Field(alias="wellKnownCACertificates"),
    ] = None
    insecure_skip_verify: bool | None = None
    sni: _Text | None = None
    verify_subject_alt_names: tuple[str, ...] = ()
    parameters: TlsParameters | None = None
    alpn_protocols: tuple[str, ...] = ()
    allow_renegotiation: bool | None = None
    simple_tls: Annotated[bool | None, Field(alias="simpleTLS")] = None
