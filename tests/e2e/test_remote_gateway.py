"""Two clusters whose pods do not reach one another: requests go through the other one's remote gateway, by two Envoys."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.support.running import START_SECONDS, Running, free_port, penstock, tidy, until

_EAST = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  gatewayClassName: penstock
  listeners: [{{name: http, port: {http}, protocol: HTTP}}, {{name: tcp, port: {tcp}, protocol: TCP}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: pay}}
spec:
  parentRefs: [{{name: edge, sectionName: http}}]
  rules: [{{backendRefs: [{{group: multicluster.x-k8s.io, kind: ServiceImport, name: pay, port: 8000}}]}}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {{name: pay}}
spec:
  parentRefs: [{{name: edge, sectionName: tcp}}]
  rules: [{{backendRefs: [{{group: multicluster.x-k8s.io, kind: ServiceImport, name: pay, port: 8000}}]}}]
---
apiVersion: penstock.dev/v1alpha1
kind: Cluster
metadata: {{name: east}}
spec: {{network: one}}
---
apiVersion: penstock.dev/v1alpha1
kind: Cluster
metadata: {{name: west}}
spec: {{network: two, remoteGateway: {{address: 127.0.0.1, port: {remote}}}}}
"""
_WEST = """
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
"""
_EXPORT = """
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: pay}
"""
_GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: remote}}
spec:
  gatewayClassName: penstock
  listeners: [{{name: remote, port: {remote}, protocol: penstock.dev/RemoteGateway}}]
"""


class _Pay(BaseHTTPRequestHandler):
    """A pod of west."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"west")

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def _pod(port: int) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", port), _Pay) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _ask(port: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error).encode()
    finally:
        connection.close()


def _as_a_stranger(port: int, name: str) -> bytes:
    """What somebody without a certificate of a proxy gets, who knows what to ask for."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(
            plain, server_hostname=name
        ) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            return tls.recv(100)
    except OSError:
        return b""


def test_requests_go_through_the_remote_gateway_of_the_other_network(tmp_path: Path) -> None:
    ports = {one: free_port() for one in ("http", "tcp", "remote", "pod")}
    east, west, data = tmp_path / "east", tmp_path / "west", tmp_path / "data"
    east.mkdir()
    west.mkdir()
    (east / "all.yaml").write_text(_EAST.format(**ports))
    (west / "pay.yaml").write_text(_WEST.format(**ports))
    (west / "export.yaml").write_text(_EXPORT)
    gateway = west / "gateway.yaml"
    gateway.write_text(_GATEWAY.format(**ports))
    with tidy(data), _pod(ports["pod"]):
        run = Running(
            f"east={east}", f"west={west}", "--data", str(data), "--plain",
            out=tmp_path / "out", env={"PENSTOCK_CONFIGURATION_CLUSTER": "east"},
        )  # fmt: skip
        told = lambda: f"{penstock(data, 'status')}\n{run.text()}"  # noqa: E731
        for port in (ports["http"], ports["tcp"]):
            until(lambda port=port: _ask(port) == (200, b"west"), START_SECONDS, told)  # type: ignore[misc]
        for name in ("8000.pay.default.svc.clusterset.local", "80.pay.default.svc.clusterset.local", "a.example.com"):
            assert _as_a_stranger(ports["remote"], name) == b""
        assert _ask(ports["remote"])[0] == 0
        gateway.unlink()
        until(lambda: _ask(ports["http"])[0] == 503, says=told)
        gateway.write_text(_GATEWAY.format(**ports))
        until(lambda: _ask(ports["http"]) == (200, b"west"), says=told)
        (west / "export.yaml").unlink()
        until(lambda: _ask(ports["http"])[0] == 500, says=told)
        assert run.ends() == 0
