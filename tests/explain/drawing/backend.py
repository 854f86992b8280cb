"""What stands behind a table: Services of both namespaces with their endpoints, a static Backend, and secrets."""

from __future__ import annotations

from typing import Any

from tests.explain.drawing.words import KEYS, OURS, TEAM, written
from tests.support.backend import CLIENTS, TLS_PORT

BACKENDS = ("b1", "b2", "b3")
BACKEND_PORT = 8080
TLS = 443
"""The port of Services at which their backends speak TLS."""
SOCKETS = "sockets"
"""A Service of b1 that takes WebSocket."""
_PORTS = [
    {"name": "http", "port": 80, "targetPort": BACKEND_PORT},
    {"name": "tls", "port": TLS, "targetPort": TLS_PORT},
]


def behind(prefix: str) -> list[dict[str, Any]]:
    """All that routes hand requests to, and what policies read."""
    statics = {"type": "Static", "static": {"hosts": [{"host": f"{prefix}2", "port": BACKEND_PORT}]}}
    return [
        *(one for number, name in enumerate(BACKENDS, 1) for one in _service(name, f"{prefix}{number}")),
        *_service(SOCKETS, f"{prefix}1", appProtocol="kubernetes.io/ws"),
        _service("empty", "")[0],
        written(OURS, "v1alpha1", "Backend", "static", statics),
        written(OURS, "v1alpha1", "DirectResponse", "teapot", {"status": 418, "body": "short and stout"}),
        *(_keys(namespace) for namespace in ("default", TEAM)),
        _authority(),
    ]


def places(prefix: str) -> dict[tuple[str, int], str]:
    """Where the backends have to stand."""
    ports = (BACKEND_PORT, TLS_PORT)
    return {(f"{prefix}{number}", port): str(number) for number in range(1, len(BACKENDS) + 1) for port in ports}


def _service(name: str, address: str, **port: Any) -> list[dict[str, Any]]:
    ports = [one | (port if one["name"] == "http" else {}) for one in _PORTS]
    service = written("", "v1", "Service", name, {"ports": ports})
    found = [service, written("", "v1", "Service", name, service["spec"], namespace=TEAM)]
    return found + ([_slice(name, address, namespace) for namespace in ("default", TEAM)] if address else [])


def _slice(name: str, address: str, namespace: str) -> dict[str, Any]:
    metadata = {"name": f"{name}-1", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": [{"name": one["name"], "port": one["targetPort"], "protocol": "TCP"} for one in _PORTS],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }


def _keys(namespace: str) -> dict[str, Any]:
    metadata = {"name": "keys", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "stringData": KEYS}


def _authority() -> dict[str, Any]:
    """Who signs for clients."""
    metadata = {"name": "ca", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": CLIENTS.read_text()}}
