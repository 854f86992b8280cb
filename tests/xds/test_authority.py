"""A proxy gets its own Gateway's config over TLS, and nobody else gets anything: over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from engine.seal import KEY_BYTES, Sealer
from engine.signing import KeyPair
from streams.xds.authority import PERIOD, SERVER_NAME, Authority
from streams.xds.messages import CLUSTER, Node, Request, encode_request, parse_response
from streams.xds.server import Secured, serve
from streams.xds.stream import Publication
from tests.support.certificate import pair as self_signed
from tests.xds.test_server import cluster
from tests.xds.test_session import GATEWAY

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
KEY, OTHER_KEY = bytes(KEY_BYTES), bytes(KEY_BYTES - 1) + b"x"
OURS, OTHERS = Authority(KEY), Authority(OTHER_KEY)
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def past(ago: timedelta) -> Authority:
    """Ours, as it was."""
    return Authority(KEY, lambda: datetime.now(UTC) - ago)


@asynccontextmanager
async def asked(
    access: Secured, pair: KeyPair | None, trusted: bytes = OURS.certificate, name: str = SERVER_NAME
) -> AsyncIterator[Any]:
    """The stream of a proxy of GATEWAY."""
    publication = Publication(Sealer(KEY), lambda _: None)
    publication.apply(cluster("c"), 1)
    key, certificate = (pair.key, pair.certificate) if pair is not None else (None, None)
    credentials = grpc.ssl_channel_credentials(trusted, key, certificate)
    options = [("grpc.ssl_target_name_override", name), ("grpc.enable_retries", 0)]
    async with (
        asyncio.timeout(240),
        serve(publication, "127.0.0.1:0", access) as port,
        grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel,
    ):
        call = channel.stream_stream(_METHOD)()
        await call.write(encode_request(Request(CLUSTER, Node("p", str(GATEWAY), "1.40.0"))))
        yield call


async def refusal(
    access: Secured, pair: KeyPair | None, trusted: bytes = OURS.certificate, name: str = SERVER_NAME
) -> grpc.StatusCode:
    """How the stream ends; OK when it is answered."""
    try:
        async with asked(access, pair, trusted, name) as call:
            async for _ in call:
                return grpc.StatusCode.OK
            return await call.code()
    except grpc.aio.AioRpcError as error:
        return error.code()


class Showing(Secured):
    """A publisher that shows a given certificate."""

    def __init__(self, authority: Authority, pair: KeyPair) -> None:
        super().__init__(authority)
        object.__setattr__(self, "_pair", pair)

    def pair(self) -> KeyPair:
        return self._pair  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("ago", [-PERIOD, timedelta(), 2 * PERIOD])
async def test_a_proxy_gets_the_config_that_its_certificate_names(ago: timedelta) -> None:
    """With one of the period before that, too, and from a deployer whose clock is ahead."""
    async with asked(Secured(OURS), past(ago).proxy(str(GATEWAY))) as call:
        assert list(parse_response(await call.read()).resources) == ["c"]


async def test_it_gets_no_other_gateways() -> None:
    pair = OURS.proxy(str(GATEWAY._replace(name="other")))
    with capture_logs() as logs:
        async with asked(Secured(OURS), pair) as call:
            assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
            assert await call.details() == f"the certificate is not valid for {GATEWAY}"
    assert [one["gateway"] for one in logs if one["event"] == "a proxy was refused"] == [str(GATEWAY)]


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(None, id="nobody"),
        pytest.param(OTHERS.proxy(str(GATEWAY)), id="another installation's"),
        pytest.param(KeyPair(OURS.proxy(str(GATEWAY)).certificate, OTHERS.proxy("x").key), id="without the key"),
        pytest.param(past(4 * PERIOD).proxy(str(GATEWAY)), id="expired"),
        pytest.param(past(-3 * PERIOD).proxy(str(GATEWAY)), id="not valid yet"),
        pytest.param(OURS.server(), id="the publisher's"),
        pytest.param(KeyPair(*self_signed(ec.generate_private_key(ec.SECP256R1()))), id="self-signed"),
    ],
)
async def test_others_get_nothing(pair: KeyPair | None) -> None:
    assert await refusal(Secured(OURS), pair) is grpc.StatusCode.UNAVAILABLE


async def test_who_speaks_in_clear_gets_nothing() -> None:
    publication = Publication(Sealer(KEY), lambda _: None)
    async with (
        serve(publication, "127.0.0.1:0", Secured(OURS)) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = channel.stream_stream(_METHOD)(metadata=(("authorization", "Bearer token"),))
        async with asyncio.timeout(240):
            assert await call.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_proxy_talks_to_no_other_publisher() -> None:
    assert await refusal(Secured(OTHERS), OURS.proxy(str(GATEWAY))) is grpc.StatusCode.UNAVAILABLE
    # Nor to one that is only a proxy.
    posing = OURS.proxy(str(GATEWAY))
    assert await refusal(Showing(OURS, posing), posing) is grpc.StatusCode.UNAVAILABLE


def later(seconds: float) -> Secured:
    """A publisher whose clock goes ahead once it has shown its certificate."""
    return Showing(Authority(KEY, lambda: datetime.now(UTC) + timedelta(seconds=seconds)), OURS.server())


def lifetime() -> float:
    return OURS.proof(OURS.proxy(str(GATEWAY)).certificate).seconds


async def test_a_stream_ends_with_its_certificate() -> None:
    async with asked(later(lifetime() - 2), OURS.proxy(str(GATEWAY))) as call:
        assert await call.read() is not grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
        assert await call.details() == "the certificate has expired: come with its successor"


async def test_one_that_expired_since_it_was_looked_at_is_refused() -> None:
    """As of a TLS session that is resumed."""
    async with asked(later(lifetime() + 2), OURS.proxy(str(GATEWAY))) as call:
        assert await call.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_publisher_with_a_certificate_of_its_operator(tmp_path: Path) -> None:
    """It asks proxies for theirs all the same; one that is renewed is shown at the next handshake."""
    names = x509.SubjectAlternativeName([x509.DNSName("xds.example.com")])
    access = Secured(OURS, tmp_path / "crt", tmp_path / "key")
    pair = OURS.proxy(str(GATEWAY))

    def written() -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, private = self_signed(key, names, x509.BasicConstraints(ca=True, path_length=None))
        (tmp_path / "crt").write_bytes(certificate)
        (tmp_path / "key").write_bytes(private)
        return certificate

    trusted = written()
    async with asked(access, pair, trusted, "xds.example.com") as call:
        assert list(parse_response(await call.read()).resources) == ["c"]
    assert await refusal(access, None, trusted, "xds.example.com") is grpc.StatusCode.UNAVAILABLE
    publication = Publication(Sealer(KEY), lambda _: None)
    publication.apply(cluster("c"), 1)
    async with asyncio.timeout(240), serve(publication, "127.0.0.1:0", access) as port:
        renewed = written()
        credentials = grpc.ssl_channel_credentials(renewed, pair.key, pair.certificate)
        options = [("grpc.ssl_target_name_override", "xds.example.com")]
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            call = channel.stream_stream(_METHOD)()
            await call.write(encode_request(Request(CLUSTER, Node("p", str(GATEWAY), "1.40.0"))))
            assert list(parse_response(await call.read()).resources) == ["c"]


def test_replicas_and_restarts_are_one_authority() -> None:
    """Byte for byte: what is deployed for a Gateway changes with the period alone."""
    first, later = (Authority(KEY, lambda ago=ago: _AT + ago) for ago in (timedelta(), timedelta(hours=1)))
    assert first.certificate == later.certificate
    assert first.proxy("a") == later.proxy("a")
    assert first.server() == later.server()
    assert Authority(OTHER_KEY).certificate != first.certificate
    next_one = Authority(KEY, lambda: _AT + PERIOD)
    assert next_one.certificate == first.certificate
    assert next_one.proxy("a") != first.proxy("a")
    assert len({pair.key for pair in (first.proxy("a"), first.proxy("b"), next_one.proxy("a"), first.server())}) == 4


def test_certificates_stay_the_same_with_other_libraries() -> None:
    """Another authority would replace all proxies, and those that trust this one would trust no publisher."""
    at = Authority(KEY, lambda: _AT)
    found = map(x509.load_pem_x509_certificate, (at.certificate, at.proxy(str(GATEWAY)).certificate))
    assert [one.fingerprint(hashes.SHA256()).hex() for one in found] == [
        "44a08653b14b449c94534180c9d2ad3c94ca4c8d320497d736f8bae5d2f3ac9b",
        "584bf916b23e4ccbab9a2f64b63c74313855bbd23a966c3a34588ef295768097",
    ]


def test_what_a_certificate_proves() -> None:
    authority = Authority(KEY, lambda: _AT)
    proof = authority.proof(authority.proxy("a/b").certificate)
    assert proof.gateways == {"a/b"}
    assert 2 * PERIOD < timedelta(seconds=proof.seconds) <= 3 * PERIOD
    assert authority.proof(authority.server().certificate).gateways == frozenset()
