"""What only a real client has: kubeconfigs, credentials that end, and words for people."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from streams.kubernetes.client import KubeconfigError, connect
from streams.kubernetes.cluster import Forbidden, Target
from tests.kubernetes.bed.server import TOKEN, ApiServerProcess

_CERTIFICATE = """
apiVersion: v1
kind: Config
current-context: x
contexts: [{name: x, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1", certificate-authority-data: aGVsbG8=}}]
users: [{name: u, user: {client-certificate-data: aGVsbG8=, client-key-data: aGVsbG8=}}]
"""
_MAPS = Target("", "ConfigMap", "configmaps", "v1")


async def refusal(kubeconfig: Path | None) -> str:
    with pytest.raises(KubeconfigError) as error:
        async with connect(kubeconfig):
            pass
    return str(error.value)


async def test_a_kubeconfig_that_cannot_be_used_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert "is not there" in await refusal(tmp_path / "none")
    (tmp_path / "empty").write_text("apiVersion: v1")
    assert "current-context" in await refusal(tmp_path / "empty")
    (tmp_path / "garbage").write_text("{")
    assert "cannot be used" in await refusal(tmp_path / "garbage")
    (tmp_path / "nothing").write_text("")
    assert "cannot be used" in await refusal(tmp_path / "nothing")
    (tmp_path / "certificate").write_text(_CERTIFICATE)
    assert "certificate cannot be used" in await refusal(tmp_path / "certificate")
    assert "no --kubeconfig is given" in await refusal(None)


@pytest.mark.kubernetes
async def test_a_token_that_ended_is_taken_anew(api_server: ApiServerProcess, tmp_path: Path) -> None:
    answer = tmp_path / "credential.json"

    def give(token: str) -> None:
        status = {"token": token}
        version = "client.authentication.k8s.io/v1"
        answer.write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))

    found = json.loads(api_server.kubeconfig(api_server.port).read_text())
    command = [sys.executable, "-c", "import sys; sys.stdout.write(open(sys.argv[1]).read())", str(answer)]
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": command[0], "args": command[1:]}
    found["users"] = [{"name": "bed", "user": {"exec": {**plugin, "interactiveMode": "Never"}}}]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(found))
    give("ended")
    async with connect(kubeconfig) as cluster:
        give(TOKEN)
        with pytest.raises(Forbidden, match="401"):
            await cluster.page(_MAPS, "", 1)
        assert (await cluster.page(_MAPS, "", 1)).version
