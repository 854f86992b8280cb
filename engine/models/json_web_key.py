"""JSON Web Key Sets (RFC 7517) as Envoy takes them: judged, and written so that it does; no key leaves in a message.

What Envoy has of RFC 7518 and RFC 8037 was asked of Envoy 1.40: tests/envoy/test_json_web_key.py.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_CURVES: Final[dict[str, tuple[EllipticCurve, int, str]]] = {
    "P-256": (SECP256R1(), 32, "ES256"),
    "P-384": (SECP384R1(), 48, "ES384"),
    "P-521": (SECP521R1(), 66, "ES512"),
}
"""Of each curve the octets of a coordinate, and the algorithm (RFC 7518 §3.4)."""
_RSA_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_MEMBERS: Final = ("kty", "kid", "alg", "crv", "n", "e", "x", "y")
"""What Envoy reads."""
_EXPONENTS: Final = frozenset({3, 65537})
"""Envoy takes no others."""
_SHORTEST_RSA: Final = 1024
"""Bits. BoringSSL takes shorter ones, which can be factored; it takes none longer than `_LONGEST_RSA`."""
_LONGEST_RSA: Final = 16384
_OCTETS_OF_ED25519: Final = 32


class _Unusable(Exception):  # noqa: N818  it is no error: RFC 7517 wants such keys left out
    """A key of a kind that Envoy has not, or that signs nothing."""


class _Wrong(Exception):  # noqa: N818  told to the user, never raised further
    """What is wrong with a key set."""


def key_set(text: str) -> tuple[str, str | None]:
    """The set as Envoy takes it, and why it would not (else None).

    A set of keys, one key alone, or public keys in PEM. Keys that Envoy knows nothing of are left out (RFC 7517 §5).
    """
    try:
        keys = _keys(text)
    except _Wrong as wrong:
        return "", str(wrong)
    return json.dumps({"keys": keys}, sort_keys=True, separators=(",", ":")), None


def _keys(text: str) -> list[dict[str, Any]]:
    if "-----BEGIN" in text:
        found = [_of_pem(one[0], one[1]) for one in _PEM.finditer(text)]
        return found or _fail("is PEM without an end")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        _fail("is neither JSON nor PEM: give a JSON Web Key Set, one key of it, or a public key in PEM")
    if not isinstance(value, Mapping):
        _fail('is no JSON object: write it as {"keys": [...]}')
    keys = value.get("keys") if "keys" in value or "kty" not in value else [value]
    if not isinstance(keys, list) or not keys:
        _fail("has no keys: give it a list of one at least, as keys")
    usable = []
    for number, key in enumerate(keys):
        try:
            usable.append(_judged(key))
        except _Unusable:
            continue
        except _Wrong as wrong:
            _fail(f"keys[{number}] {wrong}")
    return usable or _fail("has no key that Envoy could use: give it one of RSA, of EC, or of Ed25519")


def _fail(text: str) -> NoReturn:
    raise _Wrong(text) from None


def _judged(key: object) -> dict[str, Any]:
    if not isinstance(key, Mapping):
        _fail("is no JSON object")
    key = {name: value for name, value in key.items() if value is not None}
    if "d" in key:
        _fail("is a private key: give its public part alone, and take another, since this one is known now")
    kind = key.get("kty")
    if kind == "oct":
        _fail(
            "is symmetric (kty oct): it would stand here in clear, and whoever reads it could sign: "
            "have tokens signed with RSA, EC or Ed25519"
        )
    if not isinstance(kind, str):
        _fail("has no kty")
    judge = _JUDGES.get(kind)
    if judge is None or key.get("use") not in (None, "sig"):
        raise _Unusable
    for name in ("kid", "alg"):
        if name in key and not isinstance(key[name], str):
            _fail(f"has a {name} that is no text")
    judge(key)
    return {name: key[name] for name in _MEMBERS if name in key}


def _rsa(key: Mapping[str, Any]) -> None:
    algorithm = key.get("alg", "RS256")
    if algorithm not in _RSA_ALGORITHMS:
        raise _Unusable
    if int.from_bytes(_octets(key, "e")) not in _EXPONENTS:
        _fail("has an exponent e that Envoy does not take: it is 65537 (AQAB) in most keys, and may be 3")
    modulus = int.from_bytes(_octets(key, "n"))
    if not _SHORTEST_RSA <= modulus.bit_length() <= _LONGEST_RSA or not modulus % 2:
        _fail(f"has no modulus n of {_SHORTEST_RSA} to {_LONGEST_RSA} bits")


def _ec(key: Mapping[str, Any]) -> None:
    named = key.get("crv", {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}.get(str(key.get("alg"))))
    if named not in _CURVES or key.get("alg", _CURVES[named][2]) != _CURVES[named][2]:
        raise _Unusable
    curve = _CURVES[named][0]
    try:
        EllipticCurvePublicNumbers(
            int.from_bytes(_octets(key, "x")), int.from_bytes(_octets(key, "y")), curve
        ).public_key()
    except (ValueError, UnsupportedAlgorithm):
        _fail(f"has no point of {named} in x and y")


def _okp(key: Mapping[str, Any]) -> None:
    if key.get("crv") != "Ed25519" or key.get("alg", "EdDSA") != "EdDSA":
        raise _Unusable
    if len(_octets(key, "x")) != _OCTETS_OF_ED25519:
        _fail(f"has no {_OCTETS_OF_ED25519} octets in x")


_JUDGES: Final = {"RSA": _rsa, "EC": _ec, "OKP": _okp}


def _octets(key: Mapping[str, Any], name: str) -> bytes:
    text = key.get(name)
    if isinstance(text, str) and _BASE64URL.fullmatch(text) is not None and ("=" not in text or not len(text) % 4):
        with contextlib.suppress(binascii.Error):
            return base64.urlsafe_b64decode(text if "=" in text else text + "=" * (-len(text) % 4))
    _fail(f"has no {name} in base64url")


# -- PEM --------------------------------------------------------------------------------------------------------------


def _of_pem(block: str, label: str) -> dict[str, Any]:
    if "PRIVATE" in label:
        _fail("is a private key: give its public part alone, and take another, since this one is known now")
    if not label.endswith("PUBLIC KEY"):
        _fail(f"is PEM of a {label.lower()}: give a public key")
    try:
        key = load_pem_public_key(block.encode())
    except (ValueError, UnsupportedAlgorithm):
        _fail("is PEM of no public key that can be read")
    found = _of_key(key)
    _JUDGES[found["kty"]](found)
    return found


def _of_key(key: object) -> dict[str, Any]:
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        octets = (key.key_size + 7) // 8
        return {"kty": "RSA", "n": _text(numbers.n.to_bytes(octets)), "e": _text(numbers.e.to_bytes(3).lstrip(b"\0"))}
    if isinstance(key, EllipticCurvePublicKey):
        for name, (curve, octets, algorithm) in _CURVES.items():
            if key.curve.name == curve.name:
                point = key.public_numbers()
                x, y = _text(point.x.to_bytes(octets)), _text(point.y.to_bytes(octets))
                return {"kty": "EC", "crv": name, "alg": algorithm, "x": x, "y": y}
    if isinstance(key, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _text(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}
    _fail("is a public key of a kind that Envoy has not: give one of RSA, EC or Ed25519")


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
