"""Two replicas of every role as processes, a Kafka and a real API server that they share, and proxies behind all of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.identity import proxy_token, sealing_key
from streams.sinks.bootstrap import bootstrap
from streams.sinks.local_envoy import envoy_binary
from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.server import ApiServerProcess
from tests.support.running import free_port

ROLES = ("watch", "resolve", "project", "publish", "write-status", "deploy")
OF_CLUSTER = frozenset({"watch", "write-status", "deploy"})
LEASES = "penstock-system"
_LEASE_PATH = f"/apis/coordination.k8s.io/v1/namespaces/{LEASES}/leases"
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Installation:
    """What all replicas share. `root` is the test's own, `kubeconfig` reaches the API server."""

    root: Path
    kubeconfig: Path
    brokers: str
    prefix: str

    @property
    def key_file(self) -> Path:
        """The sealing key."""
        return self.root / "sealing.key"


@dataclass(slots=True)
class Replica:
    """One pod of the installation, by its name: a data directory and an address of its own, each role a process."""

    installation: Installation
    name: str
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *roles: str) -> None:
        """Start roles that do not run."""
        shared = self.installation
        environment = {
            **os.environ,
            "POD_NAME": self.name,
            "PENSTOCK_DATA": str(shared.root / self.name),
            "PENSTOCK_BROKERS": shared.brokers,
            "PENSTOCK_TOPIC_PREFIX": shared.prefix,
            "PENSTOCK_SEALING_KEY": str(shared.key_file),
            "PENSTOCK_PROXIES": "kubernetes",
            "PENSTOCK_LEASE_NAMESPACE": LEASES,
            "PENSTOCK_XDS_LISTEN": f"127.0.0.1:{self.port}",
            "PENSTOCK_XDS_ADDRESS": f"penstock.{LEASES}.svc:9977",
            "PENSTOCK_XDS_PLAINTEXT": "true",
        }
        for role in roles:
            words = ("--cluster", "east", "--kubeconfig", str(shared.kubeconfig)) if role in OF_CLUSTER else ()
            with self.log(role).open("ab") as out:
                self.processes[role] = subprocess.Popen(
                    [sys.executable, "-m", "streams.cli", role, *words],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
                )  # fmt: skip

    def kill(self, *roles: str) -> None:
        """Kill -9."""
        for role in roles:
            self.processes[role].kill()
        for role in roles:
            self.processes.pop(role).wait()

    def log(self, role: str) -> Path:
        """What the role printed."""
        return self.installation.root / f"{self.name}-{role}.log"

    def says(self, words: str) -> list[str]:
        """Roles that printed that."""
        return [role for role in ROLES if words in self.log(role).read_text()]

    def complaints(self) -> str:
        """The end of each log, and which roles ended by themselves."""
        ended = {role: one.returncode for role, one in self.processes.items() if one.poll() is not None}
        logs = [f"== {self.name} {role}\n{self.log(role).read_text()[-1500:]}" for role in ROLES if self.log(role).exists()]
        return f"ended by themselves: {ended}\n" + "\n".join(logs)

    def ended(self) -> dict[str, int]:
        """Roles that ended though nobody killed them."""
        return {role: one.returncode for role, one in self.processes.items() if one.poll() is not None}


@contextmanager
def replicas(installation: Installation, *names: str) -> Iterator[list[Replica]]:
    """All roles of all of them run; whatever lives at the end is killed, by its process."""
    sealing_key(installation.key_file)
    found = [Replica(installation, name) for name in names]
    try:
        for one in found:
            one.start(*ROLES)
        yield found
    finally:
        for one in found:
            # One that a test has stopped is not let go on: it is killed as it is.
            one.kill(*one.processes)


@contextmanager
def proxy(installation: Installation, gateway: str, name: str, publishers: list[int]) -> Iterator[subprocess.Popen[bytes]]:
    """A real Envoy of a Gateway, which reaches all publishers by one name, as a Service's name is."""
    token = proxy_token(sealing_key(installation.key_file), gateway)
    config = bootstrap(gateway, name, "", token)
    places = [{"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}} for port in publishers]
    (cluster,) = config["static_resources"]["clusters"]
    cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": [{"endpoint": one} for one in places]}]
    path = installation.root / f"{name}.json"
    path.write_text(json.dumps(config))
    with (installation.root / f"{name}.log").open("ab") as out:
        process = subprocess.Popen(
            [envoy_binary(None), "-c", path, "--concurrency", "1", "-l", "warn", "--disable-hot-restart"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(_STOP_SECONDS)


def called(server: ApiServerProcess, method: str, path: str, body: Any = None) -> Mapping[str, Any]:
    """The API server's answer; empty for what is not there."""

    async def call() -> Any:
        async with Api(server) as api:
            try:
                return await api.call(method, path, body, "application/merge-patch+json")
            except AssertionError:
                return {}

    found: Mapping[str, Any] = asyncio.run(call())
    return found


def holder(server: ApiServerProcess, role: str) -> str:
    """Which replica the role's Lease names; "" for none."""
    spec = called(server, "GET", f"{_LEASE_PATH}/penstock-{role}-default-east").get("spec") or {}
    return str(spec.get("holderIdentity") or "")
