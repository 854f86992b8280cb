"""Certificates of HTTPS listeners: read, unsealed and checked in memory; no answer tells more than that they fit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.grant import reference_problem
from engine.resolve.manifest import items, mapping, object_of
from engine.resolve.values import Certificate, Problem
from engine.seal import Sealer, UnsealError

_RSA_BITS: Final = 2048
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
SEALER = "sealer"
"""The fact that holds the Sealer."""


class Wanted(NamedTuple):
    """Key of `wanted_certificate`: a certificateRef of a Gateway."""

    gateway: Ref
    secret: Ref


@dataclass(frozen=True, slots=True)
class Checked:
    """A certificate that fits its key, until `expires` (RFC 3339), and the DNS names that it is for, lower-cased."""

    certificate: Certificate
    expires: str
    names: tuple[str, ...] = ()


def passed_fact(time: str) -> str:
    """The fact that says that a deadline has passed."""
    return f"passed/{time}"


def certificate_refs(gateway: Ref, tls: Json) -> tuple[Ref | Problem, ...]:
    """The Secrets that a listener names, or why one of them cannot be a certificate."""
    found: list[Ref | Problem] = []
    for item in items(tls.get("certificateRefs")):
        group, kind = str(item.get("group") or ""), str(item.get("kind") or "Secret")
        if (group, kind) != ("", "Secret"):
            text = f"certificateRefs cannot name {kind} of {group or 'v1'}: use a Secret of type kubernetes.io/tls"
            found.append(Problem("InvalidCertificateRef", text))
            continue
        namespace = str(item.get("namespace") or gateway.namespace)
        found.append(Ref(gateway.cluster, "", "Secret", namespace, str(item.get("name", ""))))
    return tuple(found)


def wanted_certificate(graph: Reader, key: Wanted) -> Checked | Problem:
    """The certificate of a reference, if the Gateway may have it and it can be served now."""
    problem = reference_problem(graph, "Gateway", key.gateway, key.secret)
    if problem is not None:
        return problem
    checked = graph.get(certificate, key.secret)
    if isinstance(checked, Checked) and graph.fact(passed_fact(checked.expires)):
        return _bad(key.secret, f"expired at {checked.expires}: renew it")
    return checked


def certificate(graph: Reader, secret: Ref) -> Checked | Problem:
    """A TLS Secret, checked: PEM, a key that fits, not empty."""
    object_ = object_of(graph, secret)
    if object_ is None:
        return _bad(secret, "does not exist")
    data = mapping(object_.get("data"))
    chain, key = data.get("tls.crt"), data.get("tls.key")
    if not chain or not key:
        return _bad(secret, "lacks tls.crt or tls.key")
    sealer = graph.fact(SEALER)
    if not isinstance(sealer, Sealer):
        return _bad(secret, "cannot be opened here")
    try:
        expires, names = _check(sealer.unseal_text(str(chain)), sealer.unseal_text(str(key)))
    except UnsealError:
        return _bad(secret, "is sealed with another key: its source must write it again")
    except ValueError as error:
        return _bad(secret, str(error))
    name = f"kubernetes://{secret.namespace}/{secret.name}"
    return Checked(Certificate(name, str(chain), str(key)), expires, names)


def _bad(secret: Ref, what: str) -> Problem:
    return Problem("InvalidCertificateRef", f"Secret {secret.namespace}/{secret.name} {what}")


def _check(chain: bytes, key: bytes) -> tuple[str, tuple[str, ...]]:
    """When the certificate expires, and its names. Raises ValueError that tells what is wrong and shows nothing."""
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except (ValueError, IndexError):
        msg = "has no PEM certificate in tls.crt"
        raise ValueError(msg) from None
    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError):
        msg = "has no PEM private key without passphrase in tls.key"
        raise ValueError(msg) from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        msg = "has a key in tls.key that does not fit the certificate in tls.crt"
        raise ValueError(msg)
    if (weak := _weakness(private)) is not None:
        raise ValueError(weak)
    return leaf.not_valid_after_utc.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"), _names(leaf)


def _weakness(key: object) -> str | None:
    """Why Envoy would not take such a key (measured with 1.40)."""
    if isinstance(key, rsa.RSAPrivateKey):
        small = key.key_size < _RSA_BITS
        return f"has an RSA key of {key.key_size} bits: Envoy takes {_RSA_BITS} and more" if small else None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return None if key.curve.name in _CURVES else f"has a key on curve {key.curve.name}: use {', '.join(_CURVES)}"
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else "has a key that is neither RSA nor ECDSA nor Ed25519"


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """Clients look at subjectAltName only (RFC 9110, 4.3.4)."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(sorted({name.lower() for name in found.get_values_for_type(x509.DNSName)}))
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()
