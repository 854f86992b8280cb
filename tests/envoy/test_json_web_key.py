"""Key sets are judged as the real Envoy judges them: it rejects all that stands beside one that it cannot read."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import JwtAuthentication, JwtProvider
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpFilter,
)

from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.models.json_web_key import key_set
from tests.envoy.judge import verdict

_FILTERS: Final = "envoy.extensions.filters"


def _text(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def _rsa(modulus: bytes, exponent: str = "AQAB", **more: Any) -> dict[str, Any]:
    return {"kty": "RSA", "n": _text(modulus), "e": exponent, **more}


def _ec(curve: ec.EllipticCurve, name: str, **more: Any) -> dict[str, Any]:
    numbers = ec.generate_private_key(curve).public_key().public_numbers()
    octets = (curve.key_size + 7) // 8
    x, y = _text(numbers.x.to_bytes(octets)), _text(numbers.y.to_bytes(octets))
    return {"kty": "EC", "crv": name, "x": x, "y": y, **more}


def _pem(key: PublicKeyTypes) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


_P256, _ED = ec.SECP256R1(), ed25519.Ed25519PrivateKey.generate()
_OKP: Final = {"kty": "OKP", "crv": "Ed25519", "x": _text(_ED.public_key().public_bytes_raw())}
_MODULUS: Final = b"\xff" * 256

GOOD: Final[Mapping[str, Any]] = {
    "rsa": _rsa(_MODULUS),
    "rsa of an algorithm": _rsa(_MODULUS, alg="PS512", kid="one", use="sig"),
    "rsa with the exponent 3": _rsa(_MODULUS, "Aw"),
    "rsa with a zero before its exponent": _rsa(_MODULUS, "AAEAAQ"),
    "rsa of 16384 bits": _rsa(b"\xff" * 2048),
    "rsa of 1024 bits": _rsa(b"\xff" * 128),
    "rsa with padding": {**_rsa(_MODULUS), "n": urlsafe_b64encode(_MODULUS).decode()},
    "rsa with members that mean nothing": _rsa(_MODULUS, x5c=3, key_ops=["verify"], kid=None),
    "ec": _ec(_P256, "P-256"),
    "ec without curve": {k: v for k, v in _ec(_P256, "P-256", alg="ES256").items() if k != "crv"},
    "ec 384": _ec(ec.SECP384R1(), "P-384", alg="ES384"),
    "ec 521": _ec(ec.SECP521R1(), "P-521"),
    "okp": _OKP,
    "okp of an algorithm": {**_OKP, "alg": "EdDSA"},
}

UNUSABLE: Final[Mapping[str, Any]] = {
    "a kind of its own": {"kty": "foo"},
    "rsa of another's algorithm": _rsa(_MODULUS, alg="ES256"),
    "ec of another curve's algorithm": _ec(_P256, "P-256", alg="ES384"),
    "ec of a curve that Envoy has not": _ec(ec.SECP256K1(), "secp256k1"),
    "okp of another curve": {**_OKP, "crv": "X25519"},
    "okp of another name for its algorithm": {**_OKP, "alg": "Ed25519"},
}

BAD: Final[Mapping[str, Any]] = {
    "no kind": {"n": _text(_MODULUS), "e": "AQAB"},
    "rsa with the exponent 5": _rsa(_MODULUS, "BQ"),
    "rsa with a padding too long": _rsa(_MODULUS, "AQAB=="),
    "rsa without modulus": {"kty": "RSA", "e": "AQAB"},
    "rsa with an even modulus": _rsa(b"\xff" * 255 + b"\xfe"),
    "rsa cut off": {**_rsa(_MODULUS), "n": _text(_MODULUS)[:-1]},
    "rsa of too many bits": _rsa(b"\xff" * 2049),
    "rsa of other letters": {**_rsa(_MODULUS), "n": "++//"},
    "rsa with a number": {**_rsa(_MODULUS), "e": 65537},
    "ec off its curve": {**_ec(_P256, "P-256"), "y": _text(b"\1" * 32)},
    "ec without y": {"kty": "EC", "crv": "P-256", "x": _text(b"\1" * 32)},
    "okp too short": {**_OKP, "x": _text(b"\1" * 31)},
}


async def _takes(text: str) -> bool:
    provider = construct(JwtProvider, local_jwks=construct(DataSource, inline_string=text))
    asked = packed(f"{_FILTERS}.http.jwt_authn.v3.JwtAuthentication", JwtAuthentication(providers={"one": provider}))
    manager = construct(
        HttpConnectionManager,
        stat_prefix="judged",
        route_config=construct(RouteConfiguration, name="judged"),
        http_filters=[
            construct(HttpFilter, name="jwt", typed_config=asked),
            construct(HttpFilter, name="router", typed_config=packed(f"{_FILTERS}.http.router.v3.Router", Router())),
        ],
    )
    network = f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"
    return (await verdict(FilterChain(filters=[Filter(name="manager", typed_config=packed(network, manager))])))[0]


async def test_envoy_takes_what_is_taken() -> None:
    whole = {"keys": [*GOOD.values(), *UNUSABLE.values()]}
    written, problem = key_set(json.dumps(whole))
    assert problem is None
    kept = json.loads(written)["keys"]
    assert len(kept) == len(GOOD)
    for name, key in zip(GOOD, kept, strict=True):
        assert await _takes(json.dumps({"keys": [key]})), name
    assert await _takes(written)


@pytest.mark.parametrize("name", UNUSABLE)
async def test_envoy_has_no_use_for_what_is_left_out(name: str) -> None:
    text = json.dumps({"keys": [UNUSABLE[name]]})
    assert key_set(text)[1] == "has no key that Envoy could use: give it one of RSA, of EC, or of Ed25519"
    assert not await _takes(text)


@pytest.mark.parametrize("name", BAD)
async def test_envoy_refuses_what_is_refused(name: str) -> None:
    text = json.dumps({"keys": [BAD[name]]})
    assert str(key_set(text)[1]).startswith("keys[0] ")
    assert not await _takes(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"keys": []}', '{"keys": 3}', '{"keys": [3]}', "[" * 100_000])
async def test_what_is_no_key_set_is_refused(text: str) -> None:
    assert key_set(text)[1]


async def test_public_keys_in_pem_are_taken() -> None:
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key(), _ED.public_key()]
    curves = (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
    text = "".join(map(_pem, [*keys, *(ec.generate_private_key(one).public_key() for one in curves)]))
    written, problem = key_set(text)
    assert problem is None
    found = json.loads(written)["keys"]
    assert [one.get("crv", one["kty"]) for one in found] == ["RSA", "Ed25519", "P-256", "P-384", "P-521"]
    for one in found:
        assert await _takes(json.dumps({"keys": [one]}))


def test_a_key_of_its_own_is_taken() -> None:
    assert key_set(json.dumps(_OKP)) == key_set(json.dumps({"keys": [_OKP]}))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (json.dumps({**_OKP, "d": "c2VjcmV0"}), "keys[0] is a private key"),
        (json.dumps({"keys": [_OKP, {"kty": "oct", "k": "c2VjcmV0"}]}), "keys[1] is symmetric"),
        (_ED.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), "is a private key"),
    ],
)
def test_secrets_are_refused_and_not_repeated(text: str, what: str) -> None:
    written, problem = key_set(text)
    assert str(problem).startswith(what)
    assert "c2VjcmV0" not in f"{written}{problem}"


def test_what_signs_too_weakly_is_refused_though_envoy_would_take_it() -> None:
    assert key_set(json.dumps(_rsa(b"\xff" * 64)))[1] == "keys[0] has no modulus n of 1024 to 16384 bits"
