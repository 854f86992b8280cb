"""Self-signed certificates with their keys, both PEM, for any key and any extension."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Pair = tuple[bytes, bytes]


def pair(
    key: Any, *extensions: x509.ExtensionType, form: PrivateFormat = PrivateFormat.PKCS8, name: str = "example.com"
) -> Pair:
    """(certificate, key); it began yesterday and lasts nine days."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    now = datetime.now(UTC)
    builder = (
        builder.serial_number(7).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=9))
    )
    for one in extensions:
        builder = builder.add_extension(one, critical=False)
    is_plain = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    certificate = builder.sign(key, None if is_plain else hashes.SHA256())
    return certificate.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, form, NoEncryption())
