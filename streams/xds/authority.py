"""Certificates for config that crosses a network: the publisher shows what it is, a proxy of which Gateway it is one.

All come of the sealing key and the date, byte for byte: every replica and every restart has the same ones, so nothing
is stored, handed round or renewed by anybody. Who has the sealing key can pose as any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.signing import KeyPair, begun, derived_key, private, signed
from engine.signing import number as serial

SERVER_NAME: Final = "xds.penstock"
"""What a proxy asks the publisher to be, under whatever address it finds it."""
PERIOD: Final = timedelta(days=10)
"""After each there is a next certificate; this one is good for two more, and was for one before: clocks differ."""
_GATEWAY: Final = "urn:penstock:gateway:"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BEGIN, _END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)


class Proof(NamedTuple):
    """What a certificate proves: of which Gateways its holder is a proxy, and for how many seconds more."""

    gateways: frozenset[str]
    seconds: float


class Authority:
    """Signs for one installation. `now` answers the time in UTC."""

    def __init__(self, sealing_key: bytes, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._secret = sealing_key
        self._key = self._derived("authority")
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "penstock xds")])
        builder = begun(self._key, x509.BasicConstraints(ca=True, path_length=0), "key_cert_sign", "crl_sign")
        # Without a history: whoever needs it makes it anew, and it does not end before its key does.
        builder = builder.serial_number(1).not_valid_before(_BEGIN).not_valid_after(_END)
        self.certificate = self._signed(builder.subject_name(self._name))
        """PEM: what both sides trust."""

    def server(self) -> KeyPair:
        """The publisher's, as of now."""
        return self._pair(x509.DNSName(SERVER_NAME), ExtendedKeyUsageOID.SERVER_AUTH)

    def proxy(self, gateway: str) -> KeyPair:
        """For the proxies of a Gateway, named by its ref, as of now."""
        return self._pair(x509.UniformResourceIdentifier(_GATEWAY + gateway), ExtendedKeyUsageOID.CLIENT_AUTH)

    def proof(self, certificate: bytes) -> Proof:
        """What one of ours (PEM) proves; who shows it must have been found by TLS to hold its key."""
        found = x509.load_pem_x509_certificate(certificate)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        texts = names.get_values_for_type(x509.UniformResourceIdentifier)
        gateways = frozenset(one.removeprefix(_GATEWAY) for one in texts if one.startswith(_GATEWAY))
        return Proof(gateways, (found.not_valid_after_utc - self._now()).total_seconds())

    def _pair(self, name: x509.DNSName | x509.UniformResourceIdentifier, use: x509.ObjectIdentifier) -> KeyPair:
        number = (self._now() - _EPOCH) // PERIOD
        key = self._derived(f"{use.dotted_string} {number} {name.value}")
        builder = begun(key, x509.BasicConstraints(ca=False, path_length=None), "digital_signature")
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            builder.subject_name(x509.Name([]))
            .serial_number(serial(key))
            .not_valid_before(_EPOCH + (number - 1) * PERIOD)
            .not_valid_after(_EPOCH + (number + 3) * PERIOD)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(issuer, critical=False)
        )
        return KeyPair(self._signed(builder), private(key))

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return signed(builder, self._name, self._key)

    def _derived(self, name: str) -> ec.EllipticCurvePrivateKey:
        return derived_key(self._secret, f"penstock xds {name}")
