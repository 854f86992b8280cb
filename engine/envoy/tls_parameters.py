"""What a TLS handshake offers: versions, ciphers, curves and signature algorithms, of those that Envoy knows.

One unknown name makes Envoy reject all that it stands in, so none leaves.
"""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import TlsParameters, TlsParametersTlsProtocol

from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.resolve.manifest import texts
from engine.resolve.values import Problem

_VERSIONS: Final = {
    "AUTO": TlsParametersTlsProtocol.TLS_AUTO,
    "1.0": TlsParametersTlsProtocol.TLSv1_0,
    "1.1": TlsParametersTlsProtocol.TLSv1_1,
    "1.2": TlsParametersTlsProtocol.TLSv1_2,
    "1.3": TlsParametersTlsProtocol.TLSv1_3,
}
CIPHERS: Final = frozenset(
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-PSK-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-PSK-AES128-CBC-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA",
        "ECDHE-PSK-AES256-CBC-SHA",
        "ECDHE-ECDSA-AES128-SHA256",
        "ECDHE-RSA-AES128-SHA256",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "PSK-AES128-CBC-SHA",
        "AES256-SHA",
        "PSK-AES256-CBC-SHA",
        "DES-CBC3-SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_AES_256_CBC_SHA",
    ]
)
"""Up to TLS 1.2: those of TLS 1.3 cannot be chosen. Tried one by one with Envoy 1.40's validate mode, as the others."""
CURVES: Final = frozenset({"X25519", "P-256", "P-384", "P-521", "X25519MLKEM768", "MLKEM1024"})
ALGORITHMS: Final = frozenset(
    [
        "rsa_pkcs1_sha1",
        "rsa_pkcs1_sha256",
        "rsa_pkcs1_sha384",
        "rsa_pkcs1_sha512",
        "ecdsa_sha1",
        "ecdsa_secp256r1_sha256",
        "ecdsa_secp384r1_sha384",
        "ecdsa_secp521r1_sha512",
        "rsa_pss_rsae_sha256",
        "rsa_pss_rsae_sha384",
        "rsa_pss_rsae_sha512",
        "ed25519",
    ]
)
_ALIASES: Final = {"prime256v1": "P-256"}
_LISTS: Final = (
    ("cipherSuites", "cipher_suites", CIPHERS),
    ("ecdhCurves", "ecdh_curves", CURVES),
    ("signatureAlgorithms", "signature_algorithms", ALGORITHMS),
)


def tls_parameters(block: Json) -> TlsParameters | Problem | None:
    """The parameters of a block with minVersion, maxVersion, cipherSuites, ecdhCurves and signatureAlgorithms."""
    if not block:
        return None
    least, most = (_VERSIONS[str(block.get(name, "AUTO"))] for name in ("minVersion", "maxVersion"))
    if most and least > most:
        return Problem("Invalid", f"minVersion {block['minVersion']} is above maxVersion {block['maxVersion']}")
    lists: dict[str, list[str]] = {}
    for name, field, known in _LISTS:
        # Envoy rejects a curve or algorithm that is there twice, under another name too.
        lists[field] = list(dict.fromkeys(_ALIASES.get(one, one) for one in texts(block.get(name))))
        odd = [one for one in lists[field] if not _members(one) <= known]
        if odd:
            return Problem("Invalid", f"{name} has {odd[0][:64]!r}, which Envoy does not know: remove it")
    return construct(TlsParameters, tls_minimum_protocol_version=least, tls_maximum_protocol_version=most, **lists)


def _members(name: str) -> set[str]:
    """A group of ciphers among which the backend chooses stands in brackets; of all else the name alone."""
    return set(name[1:-1].split("|")) if name.startswith("[") and name.endswith("]") else {name}
