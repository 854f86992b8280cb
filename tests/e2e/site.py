"""A site: a data directory, manifests that say what one gateway serves, and clients that ask it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from streams.cli import app
from tests.support.running import START_SECONDS, Running, free_port, processes, until

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec: {{gatewayClassName: penstock, listeners: [{{name: http, port: {port}, protocol: HTTP}}]}}
"""
BACKEND = """
apiVersion: v1
kind: Service
metadata: {{name: be}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: be, labels: {{kubernetes.io/service-name: be}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: gw}}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    filters:
    - {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-route, value: "{header}"}}]}}}}
    backendRefs: [{{name: be, port: 80}}]
"""


def route(header: str, path: str = "/", name: str = "r") -> str:
    """A route of gateway gw that answers with x-route."""
    return ROUTE.format(header=header, path=path, name=name)


@dataclass
class Site:
    """`root` holds manifests, the data directory and what a run printed; `backend` is the port behind the gateway."""

    root: Path
    backend: int
    port: int = field(default_factory=free_port)
    run: Running | None = None

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def printed(self) -> str:
        """All that runs printed so far."""
        return (self.root / "out").read_text()

    def write(self, name: str, text: str) -> None:
        """A manifest, replaced as a whole."""
        path = self.manifests / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}")
        temporary.write_text(text)
        temporary.replace(path)

    def populate(self, header: str = "one") -> None:
        """One gateway, its backend, one route."""
        self.write(
            "gateway.yaml", GATEWAY.format(name="gw", port=self.port) + "---" + BACKEND.format(port=self.backend)
        )
        self.write("route.yaml", route(header))

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> Running:
        """`penstock run` on the manifests."""
        self.run = Running(
            str(self.manifests), "--data", str(self.data), "--plain", *arguments, out=self.root / "out", env=env
        )
        return self.run

    def serves(self, header: str, path: str = "/", seconds: float = START_SECONDS) -> None:
        """Wait until a path is answered 200 with that x-route."""
        until(lambda: self.ask(path) == (200, header), seconds, lambda: self.printed)

    def says(self, words: str, seconds: float = 30.0) -> None:
        """Wait until the run prints that."""
        until(lambda: words in self.printed, seconds, lambda: f"never said {words!r}:\n{self.printed}")

    def ask(self, path: str = "/", port: int | None = None, host: str | None = None) -> tuple[int, str]:
        """Status and x-route of an answer on a new connection; (0, "") when there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"host": host} if host is not None else {})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()
        return answer.status, answer.getheader("x-route", "")

    def call(self, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command on this site's data directory."""
        return subprocess.run(
            [sys.executable, "-m", "streams.cli", *words, "--data", str(self.data)],
            capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **(env or {})},
        )  # fmt: skip

    def tells(self, *words: str) -> Any:
        """What a command answers as a value; asked in this process, which starts no Python anew."""
        done = CliRunner().invoke(app, [*words, "--data", str(self.data), "-o", "json"])
        # status tells by its code, too, that something is not as wished.
        assert done.exit_code in ({0, 1} if words[0] == "status" else {0}), done.output
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception  # a defect, which the runner took in
        return json.loads(done.stdout)

    def ends(self) -> None:
        """Ctrl-C: everything ends, and nothing stays."""
        assert self.run is not None
        assert self.run.ends(signal.SIGINT) == 0, self.printed
        assert processes(self.data) == {}


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802  the library's word
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def answering() -> Iterator[int]:
    """A backend that answers 200 to everything; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def asked_all_along(site: Site, path: str = "/") -> Iterator[Counter[tuple[int, str]]]:
    """A client that asks every 20 ms while inside; counts what it was answered."""
    seen: Counter[tuple[int, str]] = Counter()
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.02):
            seen[site.ask(path)] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def offsets(site: Site) -> tuple[int, int]:
    """(last offset of the log, last offset resolved)."""
    log = site.tells("status")["log"]
    return log["last"], log["resolved"]


def wait_for(seconds: float, question: Any) -> Any:
    """The first true answer; the last one when there was none in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)
