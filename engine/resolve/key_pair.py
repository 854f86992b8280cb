"""Whether a certificate chain and a private key are ones that Envoy takes; what it refuses costs a whole listener.

No answer shows what was judged. The rules are BoringSSL's, measured against Envoy 1.40 one by one.
"""

from __future__ import annotations

import re
from datetime import UTC
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)
"""What the library says of bytes that it cannot make a certificate or a key of."""

_RSA_BITS: Final = 2048
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_EDGE: Final = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]+)-----[ \t\r]*")
_BODY: Final = re.compile(rb"[A-Za-z0-9+/=]+[ \t\r]*")


def read(chain: bytes, key: bytes) -> tuple[str, tuple[str, ...]]:
    """When the pair expires (RFC 3339), and the certificate's names.

    Raises ValueError that tells what is wrong with it, and what to do.
    """
    _check_frames("tls.crt", chain)
    _check_frames("tls.key", key)
    leaf = _leaf(chain)
    private = _private(key)
    if _public_bytes(private.public_key()) != _public_bytes(leaf.public_key()):
        msg = "has a key in tls.key that does not fit the certificate in tls.crt"
        raise ValueError(msg)
    if (weak := _weakness(private)) is not None:
        raise ValueError(weak)
    names = _judged_extensions(leaf, is_ec=isinstance(private, ec.EllipticCurvePrivateKey))
    return leaf.not_valid_after_utc.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"), names


def is_bundle(text: str) -> bool:
    """Whether the text is PEM certificates, at least one."""
    try:
        found = x509.load_pem_x509_certificates(text.encode())
        _ = [(one.subject, one.issuer, _public_bytes(one.public_key())) for one in found]
    except _UNREADABLE:
        return False
    return bool(found)


def _leaf(chain: bytes) -> x509.Certificate:
    try:
        leaf, *others = x509.load_pem_x509_certificates(chain)
        _public_bytes(leaf.public_key())
        for one in (leaf, *others):
            # Read when they are asked for only: a name that is no text is a refusal of Envoy's.
            _ = one.subject, one.issuer
    except _UNREADABLE:
        msg = "has no PEM certificate in tls.crt"
        raise ValueError(msg) from None
    return leaf


def _private(key: bytes) -> PrivateKeyTypes:
    try:
        private = load_pem_private_key(key, password=None)
        _public_bytes(private.public_key())
    except _UNREADABLE:
        msg = "has no PEM private key without passphrase in tls.key"
        raise ValueError(msg) from None
    return private


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_frames(field: str, text: bytes) -> None:
    """Each block must stand as PEM is written: BoringSSL takes no indents, headers or bytes before the dashes."""
    inside = b""
    for line in text.split(b"\n"):
        edge = _EDGE.fullmatch(line)
        if edge is None:
            whole = b"-----" not in line if not inside else _BODY.fullmatch(line) or not line.strip()
        else:
            whole = (edge[1] == b"BEGIN") != bool(inside) and (not inside or edge[2] == inside)
            inside = edge[2] if edge[1] == b"BEGIN" else b""
        if not whole:
            break
    else:
        whole = not inside
    if not whole:
        msg = f"has PEM in {field} that Envoy cannot read: write its blocks whole, unindented and without headers"
        raise ValueError(msg)


def _weakness(key: object) -> str | None:
    """Why Envoy would not take such a key (measured with 1.40)."""
    if isinstance(key, rsa.RSAPrivateKey):
        small = key.key_size < _RSA_BITS
        return f"has an RSA key of {key.key_size} bits: Envoy takes {_RSA_BITS} and more" if small else None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return None if key.curve.name in _CURVES else f"has a key on curve {key.curve.name}: use {', '.join(_CURVES)}"
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else "has a key that is neither RSA nor ECDSA nor Ed25519"


def _judged_extensions(leaf: x509.Certificate, *, is_ec: bool) -> tuple[str, ...]:
    """The names in a certificate whose extensions Envoy takes: clients look at subjectAltName (RFC 9110, 4.3.4)."""
    try:
        found = {one.oid: one.value for one in leaf.extensions}
    except (ValueError, x509.DuplicateExtension):
        msg = "has a certificate in tls.crt with a malformed extension: issue it anew"
        raise ValueError(msg) from None
    usage, feature = found.get(x509.KeyUsage.oid), found.get(x509.TLSFeature.oid)
    if is_ec and isinstance(usage, x509.KeyUsage) and not usage.digital_signature:
        msg = "has a certificate in tls.crt whose key usage lacks digitalSignature: issue it with that usage"
        raise ValueError(msg)
    if isinstance(feature, x509.TLSFeature) and x509.TLSFeatureType.status_request in feature:
        msg = "has a certificate in tls.crt that must be stapled (OCSP), which is not done here: issue it without"
        raise ValueError(msg)
    names = found.get(x509.SubjectAlternativeName.oid)
    if not isinstance(names, x509.SubjectAlternativeName):
        return ()
    return tuple(sorted({name.lower() for name in names.get_values_for_type(x509.DNSName)}))
