"""A TLS Secret that expires when it is told to."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from engine.events import Put
from engine.ref import Ref
from engine.seal import Sealer


def secret(sealer: Sealer, name: str, expires: datetime) -> Put:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(expires - timedelta(days=1))
        .not_valid_after(expires)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    data = {
        "tls.crt": sealer.seal_text(certificate.public_bytes(Encoding.PEM)),
        "tls.key": sealer.seal_text(pem),
    }
    object_ = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": "default",
            "generation": 1,
            "creationTimestamp": "2026-11-24T12:00:00Z",
        },
        "type": "kubernetes.io/tls",
        "data": data,
    }
    return Put(Ref("local", "", "Secret", "default", name), object_)
