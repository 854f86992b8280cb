"""Several clusters, each an API server in a network namespace of its own, what they serve, and penstock before all of them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from streams.broker import Broker
from streams.kafka import KafkaLog
from tests.conformance.network import Network
from tests.kubernetes.authorized import AuthorizingServer
from tests.kubernetes.bed.api import Api
from tests.support.running import START_SECONDS, Running, free_port, until

MCS = "multicluster.x-k8s.io"
_PORT = 9000
_ENTERED = ("ip", "netns", "exec")


class Member(AuthorizingServer):
    """A cluster: its API server in a namespace of its own, and a backend at an address that all clusters reach."""

    def __init__(self, root: Path, network: Network, number: int) -> None:
        root.mkdir()
        within = (*_ENTERED, network.pod_name(number))
        super().__init__(root, "penstock", "penstock", network.add_pod(number), within)
        self.name = root.name
        self.backend = Backend(self.name, f"10.200.{number}.1")

    async def up(self) -> None:
        """Until it serves all kinds, and the service account has its rights."""
        await self.start()
        async with Api(self) as api:
            await api.ready()
            await api.install()
            for one in yaml.safe_load_all((Path(__file__).parent / "multicluster.yaml").read_text()):
                await api.apply(one, "tests")
                await api.established(one["metadata"]["name"])
            await self.grant(api, members=True)

    def put(self, *texts: str) -> None:
        """Apply manifests, in namespace default where they name none."""

        async def apply() -> None:
            async with Api(self) as api:
                for one in (one for text in texts for one in yaml.safe_load_all(text)):
                    within = {} if one["kind"] == "Cluster" else {"namespace": "default"}
                    await api.persist({**one, "metadata": {**within, **one["metadata"]}}, "tests")

        asyncio.run(apply())

    def call(self, method: str, path: str) -> Mapping[str, Any]:
        """The answer; empty for what is not there."""

        async def call() -> Any:
            async with Api(self) as api:
                try:
                    return await api.call(method, path)
                except AssertionError:
                    return {}

        found: Mapping[str, Any] = asyncio.run(call())
        return found

    def conditions(self, path: str) -> dict[str, tuple[str, str]]:
        """By type the status and the reason of what stands in an object."""
        found = (self.call("GET", path).get("status") or {}).get("conditions") or ()
        return {one["type"]: (one["status"], one["reason"]) for one in found}

    def exports(self, port: int, *, addresses: tuple[str, ...] = ()) -> None:
        """It has a Service `pay` with a port http of that number, at its backend, and exports it."""
        ready = [{"addresses": [one], "conditions": {"ready": True}} for one in (self.backend.address, *addresses)]
        self.put(_EXPORTED.format(port=port, backend=_PORT, endpoints=json.dumps(ready)))


_EXPORTED = f"""
apiVersion: v1
kind: Service
metadata: {{{{name: pay}}}}
spec: {{{{clusterIP: None, ports: [{{{{name: http, port: {{port}}, protocol: TCP}}}}]}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{{{name: pay-1, labels: {{{{kubernetes.io/service-name: pay}}}}}}}}
addressType: IPv4
ports: [{{{{name: http, port: {{backend}}, protocol: TCP}}}}]
endpoints: {{endpoints}}
---
apiVersion: {MCS}/v1beta1
kind: ServiceExport
metadata: {{{{name: pay}}}}
"""
EXPORT = f"/apis/{MCS}/v1beta1/namespaces/default/serviceexports/pay"


def cluster(name: str, access: Mapping[str, Any] | None = None, keys: tuple[str, ...] = ()) -> str:
    """A Cluster object; with keys, of a cluster that only who has one of these speaks for."""
    spec: dict[str, Any] = {"access": access} if access else {}
    spec |= {"publicKeys": list(keys)} if keys else {}
    metadata = {"name": name}
    return yaml.safe_dump({"apiVersion": "penstock.dev/v1alpha1", "kind": "Cluster", "metadata": metadata, "spec": spec})


def kubeconfig(*members: Member) -> dict[str, Any]:
    """Contexts named as the members, each with the service account of its own cluster."""
    found: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": members[0].name}
    for one in members:
        authority = base64.b64encode(one.authority.read_bytes()).decode()
        server = {"server": f"https://{one.address}:{one.port}", "certificate-authority-data": authority}
        found.setdefault("clusters", []).append({"name": one.name, "cluster": server})
        found.setdefault("users", []).append({"name": one.name, "user": {"token": one.token}})
        found.setdefault("contexts", []).append({"name": one.name, "context": {"cluster": one.name, "user": one.name}})
    return found


def secret(name: str, said: Mapping[str, Any]) -> str:
    """A Secret with a kubeconfig."""
    data = {"kubeconfig": base64.b64encode(json.dumps(said).encode()).decode()}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, name: str, *rest: Any) -> None:
        self._name = name
        super().__init__(*rest)

    def do_GET(self) -> None:  # noqa: N802  the library's word
        self.send_response(200)
        self.send_header("x-cluster", self._name)
        self.send_header("content-length", "0")
        # A backend that goes ends its connections; one that is kept would outlive it in its thread.
        self.send_header("connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@dataclass(slots=True)
class Backend:
    """What runs in a cluster: answers 200 with its cluster's name, while it is up."""

    name: str
    address: str
    _server: ThreadingHTTPServer | None = None

    def up(self) -> None:
        """Listen. The thread is in the namespace of whom it is started by."""
        self._server = ThreadingHTTPServer((self.address, _PORT), partial(_Answer, self.name))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}).start()

    def down(self) -> None:
        """Nobody listens any more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def members(root: Path, network: Network, *names: str) -> Iterator[list[Member]]:
    """Running clusters with their backends; at the end all is ended."""
    found = [Member(root / name, network, number) for number, name in enumerate(names, 1)]

    async def together(works: Any) -> None:
        await asyncio.gather(*works)

    try:
        asyncio.run(together(one.up() for one in found))
        for one in found:
            one.backend.up()
        yield found
    finally:
        for one in found:
            one.backend.down()
        asyncio.run(together(one.stop() for one in found))


@dataclass(slots=True)
class Plane:
    """`penstock run` with the log, the resolver and the proxies; and the roles that know API servers, each a process."""

    root: Path
    kubeconfig: Path
    configuration: str
    key: str
    """The public key of all that it signs."""
    port: int = field(default_factory=free_port)
    run: Running | None = None
    roles: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PENSTOCK_DATA": str(self.data),
            "PENSTOCK_CONFIGURATION_CLUSTER": self.configuration,
            "PENSTOCK_SIGNING_KEY": str(self.root / "signing.key"),
            "PENSTOCK_TRUSTED_KEYS": self.key,
        }

    @property
    def log(self) -> KafkaLog:
        return KafkaLog(Broker(self.data / "broker").address())

    def start(self) -> None:
        """All of it, on what was there before."""
        (self.root / "none").mkdir(exist_ok=True)
        words = (str(self.root / "none"), "--data", str(self.data), "--plain")
        self.run = Running(*words, out=self._notes("run"), env=self._environment)

    def join(self) -> None:
        """The roles for the clusters: once Kafka is there."""
        until(lambda: self.says("Kafka at", of="run"), START_SECONDS, self.said)
        words = ("--cluster", self.configuration, "--kubeconfig", str(self.kubeconfig), "--members")
        for role in ("watch", "write-status"):
            with self._notes(role).open("ab") as out:
                self.roles[role] = subprocess.Popen(
                    [sys.executable, "-m", "streams.cli", role, *words],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **self._environment},
                )  # fmt: skip

    def kill(self) -> None:
        """The roles for the clusters: kill -9; all else by a signal, as Ctrl-C does, its proxies too."""
        for role in tuple(self.roles):
            one = self.roles.pop(role)
            one.kill()
            one.wait()
        if self.run is not None:
            code = self.run.ends(signal.SIGINT)
            assert code == 0, self.said()
            self.run = None

    def said(self) -> str:
        """The ends of what all printed."""
        paths = (self.root / name for name in ("run", "watch", "write-status"))
        return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in paths if path.exists())

    def says(self, *words: str, of: str = "watch") -> bool:
        """Whether the watcher, or another one, printed a line with all of these words since it was started last."""
        lines = (self.root / of).read_text()[self.since.get(of, 0) :].splitlines()
        return any(all(one in line for one in words) for line in lines)

    def _notes(self, name: str) -> Path:
        """Where one prints from now on."""
        path = self.root / name
        self.since[name] = len(path.read_text()) if path.exists() else 0
        return path

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command on the data directory."""
        return subprocess.run(
            [sys.executable, "-m", "streams.cli", *words, "--data", str(self.data)],
            capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **self._environment},
        )  # fmt: skip

    def tells(self, *words: str) -> Any:
        """What a command answers as a value."""
        done = self.call(*words, "-o", "json")
        assert done.returncode in {0, 1}, done.stdout + done.stderr
        return json.loads(done.stdout)

    def ask(self) -> tuple[int, str]:
        """Status of an answer on a new connection, and the cluster that gave it."""
        return asked("127.0.0.1", self.port)


def asked(address: str, port: int) -> tuple[int, str]:
    """Status of an answer on a new connection, and the cluster that gave it; 0 where there is none."""
    connection = HTTPConnection(address, port, timeout=30)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("x-cluster", "")
    except (OSError, HTTPException):
        return 0, ""
    finally:
        connection.close()
