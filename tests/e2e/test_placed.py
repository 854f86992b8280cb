"""A Gateway that one cluster says and another one runs: its Envoy takes the endpoints of where it is."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from streams.sinks.local_envoy import remembered
from tests.support.running import START_SECONDS, Running, free_port, penstock, tidy, until

pytestmark = [pytest.mark.kafka, pytest.mark.envoy]
_GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, annotations: {{penstock.dev/clusters: "{clusters}"}}}}
spec:
  gatewayClassName: penstock
  listeners: [{{name: http, port: {port}, protocol: HTTP}}]
"""
_EAST = """
apiVersion: penstock.dev/v1alpha1
kind: Cluster
metadata: {name: east}
---
apiVersion: penstock.dev/v1alpha1
kind: Cluster
metadata: {name: west}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: pay}
spec:
  parentRefs: [{name: edge}]
  rules:
  - retry: {attempts: 12}
    backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: pay, port: 8000}]
"""
_EXPORTED = """
apiVersion: v1
kind: Service
metadata: {{name: pay}}
spec: {{ports: [{{name: http, port: 8000}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: pay-1, labels: {{kubernetes.io/service-name: pay}}}}
addressType: IPv4
ports: [{{name: http, port: {pod}}}]
endpoints: [{{addresses: [127.0.0.1]}}]
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {{name: pay}}
"""
_REF = "east/gateway.networking.k8s.io/Gateway/default/edge"


@contextmanager
def _pod(name: str) -> Iterator[int]:
    """Answers with its cluster's name; its port."""

    class Pay(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802  the library's word
            self.send_response(200)
            self.send_header("content-length", str(len(name)))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Pay) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def _ask(port: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def test_the_process_of_a_cluster_runs_what_is_placed_there(tmp_path: Path) -> None:
    """Of east's Gateways it runs no other one."""
    data = tmp_path / "data"
    with tidy(data), _pod("east") as east, ExitStack() as west:
        for name, pod in (("east", east), ("west", west.enter_context(_pod("west")))):
            (tmp_path / name).mkdir()
            (tmp_path / name / "pay.yaml").write_text(_EXPORTED.format(pod=pod))
        (tmp_path / "east" / "all.yaml").write_text(_EAST)
        (tmp_path / "east" / "own.yaml").write_text(_GATEWAY.format(name="own", clusters="east", port=free_port()))
        # After all that takes a port of the kernel's choice.
        port, gateway = free_port(), tmp_path / "east" / "edge.yaml"
        gateway.write_text(_GATEWAY.format(name="edge", clusters="west", port=port))
        run = Running(
            f"east={tmp_path / 'east'}", f"west={tmp_path / 'west'}", "--data", str(data), "--plain", out=tmp_path / "out",
            env={"PENSTOCK_CONFIGURATION_CLUSTER": "east", "PENSTOCK_PROXY_CLUSTER": "west"},
        )  # fmt: skip

        def told() -> str:
            return f"{penstock(data, 'status')}\n{run.text()}"

        until(lambda: all(_ask(port) == (200, b"west") for _ in range(5)), START_SECONDS, told)
        assert [one["gateway"] for _, one in remembered(data / "proxies")] == [f"{_REF}@west"]
        west.close()
        assert {_ask(port)[0] for _ in range(20)} == {200}, told()
        until(lambda: all(_ask(port) == (200, b"east") for _ in range(5)), says=told)
        gateway.write_text(_GATEWAY.format(name="edge", clusters="east", port=port))
        until(lambda: not remembered(data / "proxies"), says=told)
        assert _ask(port) == (0, b"")
        assert run.ends() == 0
