"""Exec plugins: what they are told, what they answer, and when they are asked again."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from streams.kubernetes.client import connect
from streams.kubernetes.cluster import ClusterError, Forbidden, Target
from streams.kubernetes.kubeconfig import ConfigException, asked
from streams.xds.authority import SERVER_NAME, Authority
from tests.support.running import free_port

_V1 = "client.authentication.k8s.io/v1"
_MAPS = Target("", "ConfigMap", "configmaps", "v1")


def plugin(tmp_path: Path, text: str, **more: Any) -> dict[str, Any]:
    path = tmp_path / "plugin.py"
    path.write_text(text)
    return {"apiVersion": _V1, "command": sys.executable, "args": [str(path)], "interactiveMode": "Never", **more}


def _answering(version: str, **status: str) -> str:
    return f"print({json.dumps({'apiVersion': version, 'kind': 'ExecCredential', 'status': status})!r})"


_TELLS = """
import json, os, sys
said = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
token = json.dumps([said, os.environ.get("WHO"), sys.stdin.read()])
print(json.dumps({"apiVersion": said["apiVersion"], "kind": "ExecCredential", "status": {"token": token}}))
"""


async def test_a_plugin_is_told_the_cluster_if_it_wants_to_be(tmp_path: Path) -> None:
    cluster = {"server": "https://west", "config": {"project": "p"}}
    for wants in (True, False):
        more = {"provideClusterInfo": wants, "env": [{"name": "WHO", "value": "penstock"}]}
        info, who, stdin = json.loads((await asked(plugin(tmp_path, _TELLS, **more), cluster))["token"])
        assert info == {
            "apiVersion": _V1, "kind": "ExecCredential",
            "spec": {"interactive": False, **({"cluster": cluster} if wants else {})},
        }  # fmt: skip
        assert (who, stdin) == ("penstock", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys; sys.exit('no such\\x1b project')", "ended with 1: the log of this process has what it said"),
        ("print('x' * 2_000_000)", "writes more than 1024 KiB"),
        ("print('hello')", "answers no ExecCredential"),
        ("print('{}')", "answers no ExecCredential"),
        (_answering(_V1, clientCertificateData="x"), "certificate and key"),
        (_answering("v2", token="x"), "answers no ExecCredential"),
    ],
)  # fmt: skip
async def test_a_plugin_that_gives_nothing_is_said_so(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigException, match=words):
        await asked(plugin(tmp_path, text), {})


async def test_a_plugin_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigException, match="cannot be started"):
        await asked({"apiVersion": _V1, "command": str(tmp_path / "none")}, {})


async def test_what_a_plugin_says_is_in_the_log_alone_and_without_its_secrets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "eyJ" + "a" * 40
    text = f"import sys; sys.exit('no such\\x1b project\\n+ echo {token}\\nAuthorization: Bearer abc')"
    with pytest.raises(ConfigException) as refused:
        await asked(plugin(tmp_path, text), {})
    assert "project" not in str(refused.value)
    said = capsys.readouterr().out
    assert "no such  project + echo [withheld] [withheld]" in said
    assert token not in said
    assert "abc" not in said


_BEGETS = """
import os, pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
"""


async def test_a_plugin_that_does_not_end_is_ended_with_all_that_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.kubernetes.plugin._SECONDS", 3.0)
    one = plugin(tmp_path, _BEGETS + "child.wait()\n")
    one["args"].append(str(tmp_path / "child"))
    descriptors = _descriptors()
    with pytest.raises(ConfigException, match="has not answered for 3 s"):
        await asked(one, {})
    await _until_ended(int((tmp_path / "child").read_text()))
    assert _descriptors() <= descriptors


def _descriptors() -> int:
    return len(tuple(Path("/proc/self/fd").iterdir()))


async def _until_ended(process: int) -> None:
    async with asyncio.timeout(10):
        while _goes_on(Path(f"/proc/{process}/stat")):
            await asyncio.sleep(0.02)


def _goes_on(stat: Path) -> bool:
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_an_answer_is_not_waited_for_longer_than_for_the_plugin(tmp_path: Path) -> None:
    one = plugin(tmp_path, _BEGETS + _answering(_V1, token="t"))
    one["args"].append(str(tmp_path / "child"))
    try:
        assert await asked(one, {}) == {"token": "t"}
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


# -- an API server that knows its clients by certificates or tokens --------------------------------------------------------


class Lock:
    """An API server of one resource, for whom it lets in: a token, or a gateway's certificate."""

    def __init__(self, tmp_path: Path) -> None:
        self.lets_in = ""
        self.refused = 0
        self.authority = Authority(bytes(64))
        self.asked = tmp_path / "asked"
        self.answer = tmp_path / "answer"
        self.port = free_port()
        self._root = tmp_path
        self.asked.touch()

    def give(self, **status: str) -> None:
        """What the plugin answers from now on."""
        self.answer.write_text(json.dumps({"apiVersion": _V1, "kind": "ExecCredential", "status": status}))

    def certificate(self, gateway: str) -> dict[str, str]:
        found = self.authority.proxy(gateway)
        return {"clientCertificateData": found.certificate.decode(), "clientKeyData": found.key.decode()}

    @property
    def kubeconfig(self) -> dict[str, Any]:
        authority = base64.b64encode(self.authority.certificate).decode()
        server = {"server": f"https://127.0.0.1:{self.port}", "certificate-authority-data": authority, "tls-server-name": SERVER_NAME}
        return {
            "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            "clusters": [{"name": "x", "cluster": server}],
            "users": [{"name": "x", "user": {"exec": plugin(self._root, _GIVES, env=[{"name": "AT", "value": str(self._root)}])}}],
        }  # fmt: skip

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        for name, data in zip(("crt", "key"), self.authority.server(), strict=True):
            (self._root / name).write_bytes(data)
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(self._root / "crt", self._root / "key")
        trust.load_verify_locations(cadata=self.authority.certificate.decode())
        trust.verify_mode = ssl.CERT_OPTIONAL
        application = web.Application()
        application.router.add_get("/api/v1/configmaps", self._page)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=trust).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        shown = dict(request.transport.get_extra_info("peercert") or {}).get("subjectAltName", ())
        named = {value.rpartition(":")[2] for _, value in shown} | {request.headers.get("Authorization", "")}
        if self.lets_in not in named:
            self.refused += 1
            return web.json_response({"message": "Unauthorized"}, status=401)
        return web.json_response({"kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": []})


_GIVES = """
import os, pathlib, sys
at = pathlib.Path(os.environ["AT"])
with open(at / "asked", "a") as file:
    file.write("x")
sys.stdout.write((at / "answer").read_text())
"""


@pytest.fixture
async def lock(tmp_path: Path) -> AsyncIterator[Lock]:
    found = Lock(tmp_path)
    async with found.serving():
        yield found


async def test_a_new_certificate_is_shown_on_new_connections_and_left_in_no_file(
    lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files := tmp_path / "files").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(files))
    lock.give(**lock.certificate("old"))
    lock.lets_in = "old"
    async with connect(lock.kubeconfig) as cluster:
        assert (await cluster.page(_MAPS, "", 1)).version == "1"
        lock.lets_in = "new"
        lock.give(**lock.certificate("new"))
        with pytest.raises(Forbidden, match="401"):
            await cluster.page(_MAPS, "", 1)
        assert (await cluster.page(_MAPS, "", 1)).version == "1"
    assert not [one for one in files.rglob("*") if one.is_dir() or "KEY" in one.read_text()]


async def test_a_kubeconfig_of_its_own_certificate_leaves_it_in_no_file(
    lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files := tmp_path / "files").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(files))
    lock.lets_in = "own"
    pair = (base64.b64encode(one.encode()).decode() for one in lock.certificate("own").values())
    user = dict(zip(("client-certificate-data", "client-key-data"), pair, strict=True))
    async with connect({**lock.kubeconfig, "users": [{"name": "x", "user": user}]}) as cluster:
        assert (await cluster.page(_MAPS, "", 1)).version == "1"
    assert not [one for one in files.rglob("*") if one.is_dir() or "KEY" in one.read_text()]


async def test_a_token_is_taken_anew_before_it_ends(lock: Lock) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=2)
    lock.give(token="old", expirationTimestamp=soon.strftime("%Y-%m-%dT%H:%M:%SZ"))
    lock.lets_in = "Bearer new"
    async with connect(lock.kubeconfig) as cluster:
        lock.give(token="new")
        assert (await cluster.page(_MAPS, "", 1)).version == "1"
    assert (lock.refused, lock.asked.read_text()) == (0, "xx")


async def test_of_many_who_are_refused_one_asks(lock: Lock) -> None:
    lock.give(token="old")
    lock.lets_in = "Bearer new"

    async def page(cluster: Any) -> str:
        try:
            return str((await cluster.page(_MAPS, "", 1)).version)
        except ClusterError as error:
            return type(error).__name__

    async with connect(lock.kubeconfig) as cluster:
        assert await asyncio.gather(*(page(cluster) for _ in range(20))) == ["Forbidden"] * 20
        assert lock.asked.read_text() == "xx", "for the first time, and once anew"
        lock.answer.write_text("no credential")
        async with asyncio.timeout(30):
            while lock.asked.read_text() != "x" * 3:
                assert await page(cluster) == "Forbidden"
        lock.give(token="new")
        async with asyncio.timeout(30):
            while await page(cluster) != "1":
                await asyncio.sleep(0.05)
    assert lock.asked.read_text() == "xxxx"
