"""Keys and certificates that are derived, so that every process that has the same secret makes the same bytes.

It knows no purpose of them, and no time: who signs says until when.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of NIST P-256 (SEC 2, 2.4.2)."""
_USES: Final = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


class KeyPair(NamedTuple):
    """PEM: a certificate and its private key."""

    certificate: bytes
    key: bytes


def derived_key(secret: bytes, info: str) -> ec.EllipticCurvePrivateKey:
    """A private key of P-256, from so many bits too many that no value is likelier (FIPS 186-5, A.2.1)."""
    bits = HKDF(hashes.SHA256(), 40, salt=None, info=info.encode()).derive(secret)
    return ec.derive_private_key(int.from_bytes(bits) % (_ORDER - 1) + 1, ec.SECP256R1())


def begun(key: ec.EllipticCurvePrivateKey, constraints: x509.BasicConstraints, *uses: str) -> x509.CertificateBuilder:
    """A certificate of a key, for these uses (KeyUsage)."""
    public = key.public_key()
    usage = x509.KeyUsage(**{one: one in uses for one in _USES})
    builder = x509.CertificateBuilder().public_key(public).add_extension(constraints, critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    return builder.add_extension(usage, critical=True).add_extension(identifier, critical=False)


def number(key: ec.EllipticCurvePrivateKey) -> int:
    """A serial number that no other key has."""
    return int.from_bytes(x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest[1:])


def signed(builder: x509.CertificateBuilder, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> bytes:
    """PEM: the certificate, signed by an issuer's key as always the same bytes (RFC 6979)."""
    made = builder.issuer_name(issuer).sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    return made.public_bytes(serialization.Encoding.PEM)


def private(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PEM: a private key."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
