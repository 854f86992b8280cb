"""A proxy with the bootstrap of its pod reaches the real publisher over TLS, with its token, and is ready only then."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from engine.seal import KEY_BYTES, Sealer
from streams.sinks.kubernetes.bootstrap import ADMIN_PORT, METRICS_PORT, READY_PORT
from streams.sinks.kubernetes.manifests import manifests
from streams.sinks.kubernetes.proxy import Publisher, Template
from streams.sinks.local_envoy import envoy_binary
from streams.xds.server import ServerTls, serve
from streams.xds.stream import Publication
from tests.sinks.kubernetes.case import UID, proxy
from tests.support.certificate import pair

pytestmark = pytest.mark.envoy
_SECONDS = 30.0


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


def certificate(folder: Path, number: int = 0) -> ServerTls:
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made, key = pair(ec.generate_private_key(ec.SECP256R1()), names, x509.BasicConstraints(ca=True, path_length=None))
    tls = ServerTls(folder / "tls.crt", folder / "tls.key")
    tls.certificate.write_bytes(made)
    tls.key.write_bytes(key)
    (folder / f"authority-{number}").write_bytes(made)
    return tls


@asynccontextmanager
async def pod(folder: Path, template: Template) -> AsyncIterator[int]:
    """What the pod's container runs, with paths and ports of the test's own; yields where it says whether it is ready."""
    ready, metrics, admin = free_ports(3)
    objects = manifests(proxy("simple"), template, UID)
    data = next(one["data"] for one in objects if one["kind"] == "ConfigMap")
    moved = {
        "/etc/envoy": str(folder), "/var/run/secrets/tokens": str(folder), "0.0.0.0": "127.0.0.1",
        str(READY_PORT): str(ready), str(METRICS_PORT): str(metrics), str(ADMIN_PORT): str(admin),
    }  # fmt: skip
    for file, written in data.items():
        text = written
        for old, new in moved.items() if file != "ca.crt" else ():
            text = text.replace(old, new)
        (folder / file).write_text(text)
    (pods,) = (one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment")
    arguments = [one.replace("/etc/envoy", str(folder)) for one in pods["containers"][0]["args"]]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(envoy_binary(None), *arguments, stdout=log, stderr=log)
        try:
            yield ready
        finally:
            process.kill()
            await process.wait()


async def is_ready(port: int) -> bool:
    async with aiohttp.ClientSession() as session:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with session.get(f"http://127.0.0.1:{port}/ready") as answer:
                return answer.status == 200
    return False


@pytest.mark.parametrize("with_tls", [True, False])
async def test_a_proxy_is_let_in_by_its_token(tmp_path: Path, *, with_tls: bool) -> None:
    seen: list[tuple[str, str]] = []
    (tmp_path / "xds-token").write_text("the token")

    def authorised(gateway: str, token: str) -> bool:
        seen.append((gateway, token))
        return True

    tls = certificate(tmp_path) if with_tls else None
    publication = Publication(Sealer(bytes(KEY_BYTES)), lambda _: None)
    publication.apply({}, 1)
    authority = (tmp_path / "authority-0").read_text() if with_tls else ""
    async with (
        serve(publication, "127.0.0.1:0", authorised, tls) as port,
        pod(tmp_path, Template(Publisher("localhost", port, authority))) as ready,
        asyncio.timeout(_SECONDS),
    ):
        while not await is_ready(ready):
            await asyncio.sleep(0.05)
    assert seen[0] == ("local/gateway.networking.k8s.io/Gateway/default/gw", "the token")


async def test_a_proxy_that_is_not_let_in_is_not_ready_and_tries_again(tmp_path: Path) -> None:
    """And a token that is written later, as a rotated one is, is taken."""
    seen: list[str] = []
    token = tmp_path / "xds-token"
    token.write_text("old")

    def authorised(_gateway: str, shown: str) -> bool:
        seen.append(shown)
        return shown == "new"

    publication = Publication(Sealer(bytes(KEY_BYTES)), lambda _: None)
    publication.apply({}, 1)
    async with (
        serve(publication, "127.0.0.1:0", authorised) as port,
        pod(tmp_path, Template(Publisher("localhost", port))) as ready,
        asyncio.timeout(_SECONDS),
    ):
        while not seen:
            await asyncio.sleep(0.05)
        assert not await is_ready(ready)
        # As a volume of Kubernetes changes: by renaming.
        (tmp_path / "next").write_text("new")
        (tmp_path / "next").rename(token)
        while not await is_ready(ready):
            await asyncio.sleep(0.05)
    assert set(seen) == {"old", "new"}


async def test_a_certificate_that_is_renewed_is_shown(tmp_path: Path) -> None:
    """A proxy that trusts the next authority alone gets in without the publisher being started again."""
    (tmp_path / "xds-token").write_text("the token")
    tls = certificate(tmp_path)
    publication = Publication(Sealer(bytes(KEY_BYTES)), lambda _: None)
    publication.apply({}, 1)
    template = Template(Publisher("localhost", 0, ""))
    async with serve(publication, "127.0.0.1:0", lambda *_: True, tls) as port, asyncio.timeout(_SECONDS):
        certificate(tmp_path, 1)
        authority = (tmp_path / "authority-1").read_text()
        async with pod(tmp_path, replace(template, publisher=Publisher("localhost", port, authority))) as ready:
            while not await is_ready(ready):
                await asyncio.sleep(0.05)
