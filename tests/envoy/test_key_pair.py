"""No pair of certificate and key is let through that Envoy refuses: that would cost its whole listener."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat
from cryptography.x509.oid import ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.resolve.key_pair import read
from streams.sinks.local_envoy import envoy_binary
from tests.support.certificate import Pair, pair

_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
_JUNK = ("2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37", "1.3.6.1.5.5.7.1.24", "1.2.3.4")


@cache
def keys() -> dict[str, Any]:
    found: dict[str, Any] = {f"rsa{bits}": rsa.generate_private_key(65537, bits) for bits in (1024, 2047, 2048)}
    curves = (ec.SECP224R1(), ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1(), ec.BrainpoolP256R1())
    found |= {one.name: ec.generate_private_key(one) for one in curves}
    found |= {"ed25519": ed25519.Ed25519PrivateKey.generate(), "ed448": ed448.Ed448PrivateKey.generate()}
    return found | {"dsa": dsa.generate_private_key(1024)}  # noqa: S505  one that Envoy is to refuse


def cases() -> Iterator[tuple[str, Pair]]:
    yield from ((name, pair(key)) for name, key in keys().items())
    key, large = keys()["secp256r1"], keys()["rsa2048"]
    yield "sec1", pair(key, form=PrivateFormat.TraditionalOpenSSL)
    yield "openssh", pair(key, form=PrivateFormat.OpenSSH)
    for one in _USAGES[:7]:
        usage = x509.KeyUsage(**{name: name == one for name in _USAGES})
        yield f"ecdsa for {one}", pair(key, usage)
        yield f"rsa for {one}", pair(large, usage)
    yield "must staple", pair(key, x509.TLSFeature([x509.TLSFeatureType.status_request]))
    for oid in _JUNK:
        yield f"junk in {oid}", pair(key, x509.UnrecognizedExtension(ObjectIdentifier(oid), b"junk"))
    chain, text = pair(key)
    yield from ((f"chain: {name}", (one, text)) for name, one in framed(chain))
    yield from ((f"key: {name}", (chain, one)) for name, one in framed(text))
    yield "name that is no text", (flipped(plain()[0], 40, 128), plain()[1])
    yield "issuer whose name is no text", (chain + flipped(plain()[0], 40, 128), text)
    yield "another's key", (chain, pair(large)[1])
    yield "key in the chain", (chain + text, text)


def framed(pem: bytes) -> Sequence[tuple[str, bytes]]:
    """PEM as people paste it."""
    return (
        ("empty", b""),
        ("text before", b"Bag Attributes\n" + pem),
        ("text before on the line", b"x" + pem),
        ("byte order mark", b"\xef\xbb\xbf" + pem),
        ("indented", pem.replace(b"\n", b"\n  ")),
        ("headers", pem.replace(b"-----\n", b"-----\nProc-Type: 4\n\n", 1)),
        ("spaces behind", pem.replace(b"\n", b"  \n")),
        ("carriage returns", pem.replace(b"\n", b"\r\n")),
        ("twice", pem + pem),
        ("unfinished block behind", pem + b"-----BEGIN CERTIFICATE-----\nAAAA"),
        ("cut", pem[: len(pem) // 2]),
        ("one line", pem.replace(b"\n", b"")),
        ("one line of base64", pem.replace(b"\n", b"").replace(b"-----M", b"-----\nM").replace(b"-----END", b"\n-----END")),
        ("no end of line", pem.rstrip()),
        ("another label", pem.replace(b"BEGIN ", b"BEGIN X ").replace(b"END ", b"END X ")),
        ("labels that differ", pem.replace(b"END ", b"END X ")),
        ("empty line inside", pem.replace(b"\n", b"\n\n", 2)),
    )


async def takes(folder: Path, chain: bytes, key: bytes) -> bool:
    """Whether Envoy, in validate mode, takes the pair."""
    (folder / "tls.crt").write_bytes(chain)
    (folder / "tls.key").write_bytes(key)
    files = {"certificate_chain": {"filename": f"{folder}/tls.crt"}, "private_key": {"filename": f"{folder}/tls.key"}}
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    tls = {"@type": kind, "common_tls_context": {"tls_certificates": [files]}}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 1}}
    filter_chain = {"transport_socket": {"name": "tls", "typed_config": tls}}
    listener = {"name": "judge", "address": address, "filter_chains": [filter_chain]}
    (folder / "envoy.json").write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    process = await asyncio.create_subprocess_exec(
        envoy_binary(None), "--mode", "validate", "-c", folder / "envoy.json", "-l", "off", "--disable-hot-restart",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await process.wait() == 0


@pytest.mark.envoy
async def test_what_is_let_through_envoy_takes(tmp_path: Path) -> None:
    wrong, refused, taken = [], 0, 0
    for name, (chain, key) in cases():
        try:
            read(chain, key)
        except ValueError as error:
            refused += 1
            assert str(error).startswith("has "), error
            continue
        taken += 1
        if not await takes(tmp_path, chain, key):
            wrong.append(name)
    assert wrong == []
    assert refused >= 25
    assert taken >= 25


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rsa1024", "has an RSA key of 1024 bits: Envoy takes 2048 and more"),
        ("secp256k1", "has a key on curve secp256k1: use secp256r1, secp384r1, secp521r1"),
        ("dsa", "has a key that is neither RSA nor ECDSA nor Ed25519"),
    ],
)
def test_a_key_that_envoy_refuses_says_which_it_takes(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(*pair(keys()[name]))


def flipped(pem: bytes, at: int, by: int) -> bytes:
    """PEM with one byte of its DER changed."""
    first, *lines, last = pem.strip().split(b"\n")
    der = bytearray(base64.b64decode(b"".join(lines)))
    der[at % len(der)] ^= by
    return b"\n".join([first, base64.b64encode(bytes(der)), last, b""])


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=600)
@given(st.integers(0, 1200), st.integers(1, 255), st.sampled_from(["chain", "key", "both"]))
def test_damaged_der_is_a_refusal_and_nothing_else(at: int, by: int, which: str) -> None:
    """An algorithm or a version that the library does not know has errors of its own: they would stop the engine."""
    chain, key = plain()
    chain = flipped(chain, at, by) if which != "key" else chain
    key = flipped(key, at, by) if which != "chain" else key
    with contextlib.suppress(ValueError):
        assert read(chain, key)[0].endswith("Z")


@cache
def plain() -> Pair:
    usage = x509.KeyUsage(**{name: name == "digital_signature" for name in _USAGES})
    return pair(keys()["secp256r1"], usage, x509.SubjectAlternativeName([x509.DNSName("example.com")]))
