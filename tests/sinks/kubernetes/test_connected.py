"""A proxy with what is deployed for it reaches the real publisher, which lets it in by what proves its Gateway."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ipaddress
import socket
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from engine.seal import KEY_BYTES, Sealer
from engine.signing import KeyPair
from streams.sinks.kubernetes.bootstrap import ADMIN_PORT, METRICS_PORT, READY_PORT
from streams.sinks.kubernetes.manifests import manifests
from streams.sinks.kubernetes.proxy import Publisher, Template
from streams.sinks.local_envoy import envoy_binary
from streams.xds.authority import PERIOD, SERVER_NAME, Authority
from streams.xds.server import Authorised, Secured, serve
from streams.xds.stream import Publication, Report
from tests.sinks.kubernetes.case import UID, proxy
from tests.support.certificate import pair

pytestmark = pytest.mark.envoy
_SECONDS = 240.0
_KEY = bytes(KEY_BYTES)
OURS, OTHERS = Authority(_KEY), Authority(bytes(KEY_BYTES - 1) + b"x")
EXPIRED = Authority(_KEY, lambda: datetime.now(UTC) - 4 * PERIOD)
_GATEWAY = "local/gateway.networking.k8s.io/Gateway/default/gw"


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


def shows(authority: Authority, gateway: str = _GATEWAY) -> dict[str, bytes]:
    """The files of a proxy's identity."""
    made = authority.proxy(gateway)
    return {"tls.crt": made.certificate, "tls.key": made.key}


def secured(port: int, identity: Mapping[str, bytes]) -> Template:
    return Template(Publisher("localhost", port, OURS.certificate.decode(), SERVER_NAME), lambda _: identity)


def mount(folder: Path, files: Mapping[str, bytes]) -> None:
    """As Kubernetes mounts a Secret, and changes it: files are links through `..data`, which is renamed."""
    version = folder / f"..v{len(list(folder.glob('..v*')))}"
    version.mkdir(parents=True)
    for name, value in files.items():
        (version / name).write_bytes(value)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..new").symlink_to(version.name)
    (folder / "..new").rename(folder / "..data")


class Pod:
    """What a pod's container runs, with paths and ports of the test's own."""

    def __init__(self, folder: Path, template: Template) -> None:
        self.folder = folder
        self.ready, self.metrics, self.admin = free_ports(3)
        objects = {one["kind"]: one for one in manifests(proxy("simple"), template, UID)}
        self._place(objects["ConfigMap"]["data"])
        self.shows({name: b64decode(value) for name, value in objects["Secret"]["data"].items()})
        self._container = objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]

    def _place(self, data: Mapping[str, str]) -> None:
        moved = {
            "/etc/envoy": str(self.folder), "/var/run/secrets/xds": str(self.folder / "identity"),
            "0.0.0.0": "127.0.0.1", str(READY_PORT): str(self.ready), str(METRICS_PORT): str(self.metrics),
            str(ADMIN_PORT): str(self.admin),
        }  # fmt: skip
        for file, text in data.items():
            for old, new in moved.items() if file != "ca.crt" else ():
                text = text.replace(old, new)  # noqa: PLW2901
            (self.folder / file).write_text(text)

    def shows(self, identity: Mapping[str, bytes]) -> None:
        """Its Secret is this now."""
        mount(self.folder / "identity", identity)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        arguments = [one.replace("/etc/envoy", str(self.folder)) for one in self._container["args"]]
        with (self.folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(envoy_binary(None), *arguments, stdout=log, stderr=log)
            try:
                yield
            finally:
                process.kill()
                await process.wait()

    async def asked(self, path: str, port: int = 0) -> Any:
        """The answer's text; None when there is no good one."""
        async with aiohttp.ClientSession() as session:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with session.get(f"http://127.0.0.1:{port or self.ready}{path}") as answer:
                    return await answer.text() if answer.status == 200 else None
        return None

    async def is_ready(self) -> bool:
        return await self.asked("/ready") is not None

    async def was_refused(self) -> bool:
        """Whether its stream has ended twice: it was tried again."""
        text = await self.asked("/stats?filter=cluster_manager.cds.update_failure", self.admin)
        return int((text or "x: 0").rpartition(" ")[2]) > 1


async def until(question: Callable[[], Any]) -> None:
    async with asyncio.timeout(_SECONDS):
        while not (await found if inspect.isawaitable(found := question()) else found):
            await asyncio.sleep(0.05)


@asynccontextmanager
async def served(access: Authorised | Secured, reports: list[Report] | None = None) -> AsyncIterator[int]:
    publication = Publication(Sealer(_KEY), [].append if reports is None else reports.append)
    publication.apply({}, 1)
    async with serve(publication, "127.0.0.1:0", access) as port:
        yield port


def own_certificate(folder: Path, name: x509.GeneralName, number: int = 0) -> Secured:
    """A publisher with an operator's certificate; whom proxies must trust for it is in `authority-NUMBER`."""
    names = x509.SubjectAlternativeName([name])
    made, key = pair(ec.generate_private_key(ec.SECP256R1()), names, x509.BasicConstraints(ca=True, path_length=None))
    (folder / "server.crt").write_bytes(made)
    (folder / "server.key").write_bytes(key)
    (folder / f"authority-{number}").write_bytes(made)
    return Secured(OURS, folder / "server.crt", folder / "server.key")


async def test_a_proxy_is_let_in_by_what_was_deployed_for_it(tmp_path: Path) -> None:
    reports: list[Report] = []
    async with served(Secured(OURS), reports) as port:
        pod = Pod(tmp_path, secured(port, shows(OURS)))
        async with pod.running():
            await until(pod.is_ready)
            versions = await pod.asked("/stats?filter=cluster.xds_cluster.ssl.versions", pod.admin)
    assert [(one.event, one.node.gateway) for one in reports[:2]] == [("connected", _GATEWAY), ("ack", _GATEWAY)]
    assert "TLSv1.3: 1" in versions


async def test_a_proxy_is_not_ready_before_it_has_the_publishers_word(tmp_path: Path) -> None:
    """The publisher has read nothing yet. By itself Envoy waits for 15 s for each of two types, and is ready with nothing."""
    publication = Publication(Sealer(_KEY), lambda _: None)
    async with serve(publication, "127.0.0.1:0", Secured(OURS)) as port:
        pod = Pod(tmp_path, secured(port, shows(OURS)))
        async with pod.running():

            async def asked_for_longer() -> bool:
                return int((await pod.asked("/stats?filter=server.uptime", pod.admin) or "x: 0").rpartition(" ")[2]) > 16

            await until(asked_for_longer)
            waited = await pod.asked("/stats?filter=cluster_manager.cds.init_fetch_timeout", pod.admin)
            assert waited == "cluster_manager.cds.init_fetch_timeout: 0\n"
            assert not await pod.is_ready()
            publication.apply({}, 1)
            await until(pod.is_ready)


@pytest.mark.parametrize(
    "identity",
    [
        pytest.param(shows(OURS, _GATEWAY.replace("/gw", "/other")), id="another gateway's"),
        pytest.param(shows(EXPIRED), id="expired"),
        pytest.param(shows(OTHERS), id="another installation's"),
    ],
)
async def test_a_proxy_with_another_identity_gets_nothing_until_it_has_its_own(
    tmp_path: Path, identity: dict[str, bytes]
) -> None:
    """Its Secret is mended, or renewed, while it runs: it is let in without a restart."""
    reports: list[Report] = []
    async with served(Secured(OURS), reports) as port:
        pod = Pod(tmp_path, secured(port, identity))
        async with pod.running():
            await until(pod.was_refused)
            assert reports == []
            pod.shows(shows(OURS))
            await until(lambda: reports)
            await until(pod.is_ready)


async def refuses(folder: Path, access: Secured, template: Callable[[int], Template], counter: str) -> None:
    """A pod of the template, made for the publisher's port, trusts it not, and counts that as `counter` does."""
    reports: list[Report] = []
    async with served(access, reports) as port:
        pod = Pod(folder, template(port))
        async with pod.running():
            await until(pod.was_refused)
            failed = await pod.asked(f"/stats?filter=cluster.xds_cluster.ssl.{counter}", pod.admin)
    assert reports == []
    assert int(failed.rpartition(" ")[2]) > 1


async def test_a_proxy_takes_config_from_no_other_publisher(tmp_path: Path) -> None:
    await refuses(tmp_path, Secured(OTHERS), lambda port: secured(port, shows(OTHERS)), "fail_verify_error")


async def test_a_proxy_without_identity_gets_nothing(tmp_path: Path) -> None:
    """It trusts the publisher, and shows nothing."""
    reports: list[Report] = []
    async with served(Secured(OURS), reports) as port:
        pod = Pod(tmp_path, secured(port, shows(OURS)))
        config = yaml.safe_load((tmp_path / "envoy.yaml").read_text())
        (xds,) = (one for one in config["static_resources"]["clusters"] if one["name"] == "xds_cluster")
        del xds["transport_socket"]["typed_config"]["common_tls_context"]["tls_certificate_sds_secret_configs"]
        (tmp_path / "envoy.yaml").write_text(yaml.safe_dump(config))
        async with pod.running():
            await until(pod.was_refused)
    assert reports == []


async def test_a_stream_ends_with_its_certificate_and_the_proxy_comes_with_the_next(tmp_path: Path) -> None:
    seconds = OURS.proof(OURS.proxy(_GATEWAY).certificate).seconds

    def soon() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=seconds - 3)

    class Ahead(Secured):
        def pair(self) -> KeyPair:
            return OURS.server()

    reports: list[Report] = []
    async with served(Ahead(Authority(_KEY, soon)), reports) as port:
        pod = Pod(tmp_path, secured(port, shows(OURS)))
        async with pod.running():
            await until(pod.is_ready)
            pod.shows(shows(Authority(_KEY, lambda: datetime.now(UTC) + PERIOD)))
            await until(lambda: [one.event for one in reports].count("connected") > 1)
    assert "nack" not in {one.event for one in reports}
    assert [one.event for one in reports][-1] != "nack"


@pytest.mark.parametrize(
    ("host", "name"),
    [("localhost", x509.DNSName("localhost")), ("127.0.0.1", x509.IPAddress(ipaddress.ip_address("127.0.0.1")))],
)
async def test_an_operators_certificate(tmp_path: Path, host: str, name: x509.GeneralName) -> None:
    """The proxy shows ours all the same. A renewed one is shown to a proxy that trusts its authority alone."""
    access = own_certificate(tmp_path, name)
    async with served(access) as port:
        for number in range(2):
            if number:
                own_certificate(tmp_path, name, number)
            trusted = (tmp_path / f"authority-{number}").read_text()
            (tmp_path / str(number)).mkdir()
            pod = Pod(tmp_path / str(number), Template(Publisher(host, port, trusted, host), lambda _: shows(OURS)))
            async with pod.running():
                await until(pod.is_ready)


async def test_a_certificate_of_a_trusted_authority_for_another_name_is_not_trusted(tmp_path: Path) -> None:
    """An operator's authority may sign for many."""
    access = own_certificate(tmp_path, x509.DNSName("other.example.com"))
    trusted = (tmp_path / "authority-0").read_text()

    def template(port: int) -> Template:
        return Template(Publisher("localhost", port, trusted, "localhost"), lambda _: shows(OURS))

    await refuses(tmp_path, access, template, "fail_verify_san")


async def test_a_proxy_in_clear_is_let_in_by_its_token(tmp_path: Path) -> None:
    """One that is not is not ready, and tries again: a token that is written later is taken."""
    seen: list[tuple[str, str]] = []

    def authorised(gateway: str, shown: str) -> bool:
        seen.append((gateway, shown))
        return shown == "new"

    async with served(authorised) as port:
        pod = Pod(tmp_path, Template(Publisher("localhost", port), lambda _: {"token": b"old"}))
        async with pod.running():
            await until(pod.was_refused)
            assert not await pod.is_ready()
            pod.shows({"token": b"new"})
            await until(pod.is_ready)
    assert set(seen) == {(_GATEWAY, "old"), (_GATEWAY, "new")}
