"""The part of a kubelet and of a cloud: a Gateway's pod runs in a network namespace of its own, its Service has the address."""

from __future__ import annotations

import subprocess
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from streams.sinks.local_envoy import envoy_binary
from tests.conformance.network import Network
from tests.kubernetes.federation import Member, asked
from tests.kubernetes.replicas import called

KINDS: Final = {
    "ConfigMap": "/api/v1/namespaces/default/configmaps/{}",
    "Secret": "/api/v1/namespaces/default/secrets/{}-xds",
    "ServiceAccount": "/api/v1/namespaces/default/serviceaccounts/{}",
    "Service": "/api/v1/namespaces/default/services/{}",
    "Deployment": "/apis/apps/v1/namespaces/default/deployments/{}",
}
"""Paths of what is deployed for a Gateway of namespace default."""


@dataclass(slots=True)
class ProxyPod:
    """The pod of a Gateway's Deployment in a cluster; `number` is its network namespace's."""

    member: Member
    gateway: str
    folder: Path
    network: Network
    number: int
    address: str = ""
    process: subprocess.Popen[bytes] | None = None
    started: int = field(default=0)

    def deployed(self) -> dict[str, Mapping[str, Any]]:
        """What there is of it at the API server, by kind."""
        found = {kind: self.member.call("GET", path.format(self.gateway)) for kind, path in KINDS.items()}
        return {kind: one for kind, one in found.items() if one}

    def start(self) -> None:
        """Run its container, with what is mounted into it, and give its Service the address."""
        objects = self.deployed()
        self.started += 1
        folder = self.folder / str(self.started)
        identity = folder / "identity"
        identity.mkdir(parents=True)
        for name, value in objects["Secret"]["data"].items():
            (identity / name).write_bytes(b64decode(value))
        for name, text in objects["ConfigMap"]["data"].items():
            (folder / name).write_text(_moved(text, folder))
        (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
        variables = {"$(POD_NAME)": f"{self.gateway}-{self.started}", "$(POD_NAMESPACE)": "default"}
        words = [_moved(one, folder) for one in container["args"]]
        for name, value in variables.items():
            words = [one.replace(name, value) for one in words]
        if not self.address:
            self.address = self.network.add_pod(self.number)
        with (folder / "log").open("wb") as out:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.network.pod_name(self.number), envoy_binary(None), *words, "--concurrency", "1"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        status = {"status": {"loadBalancer": {"ingress": [{"ip": self.address}]}}}
        called(self.member, "PATCH", f"{KINDS['Service'].format(self.gateway)}/status", status)

    def stop(self) -> None:
        """Kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self) -> tuple[int, str]:
        """Status of an answer on a new connection, and the cluster that gave it."""
        return asked(self.address, 80)

    def log(self) -> str:
        """The end of what its Envoy said last."""
        path = self.folder / str(self.started) / "log"
        return f"== the pod in {self.member.name}\n{path.read_text()[-1500:] if path.exists() else ''}"


def _moved(text: str, folder: Path) -> str:
    return text.replace("/etc/envoy", str(folder)).replace("/var/run/secrets/xds", str(folder / "identity"))
