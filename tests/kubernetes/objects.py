"""Objects that the tests write into clusters."""

from __future__ import annotations

import base64
from typing import Any

GATEWAY_API = "gateway.networking.k8s.io"


def _object(version: str, kind: str, namespace: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"namespace": namespace, "name": name}, **rest}


def service(namespace: str, name: str, port: int = 80) -> dict[str, Any]:
    ports = [{"name": "http", "port": port, "protocol": "TCP", "targetPort": port}]
    return _object("v1", "Service", namespace, name, spec={"ports": ports, "clusterIP": "None"})


def endpoints(namespace: str, service_name: str, *addresses: str, name: str = "") -> dict[str, Any]:
    found = _object(
        "discovery.k8s.io/v1", "EndpointSlice", namespace, name or f"{service_name}-1", addressType="IPv4",
        endpoints=[{"addresses": [one]} for one in addresses], ports=[{"name": "http", "port": 80, "protocol": "TCP"}],
    )  # fmt: skip
    found["metadata"]["labels"] = {"kubernetes.io/service-name": service_name}
    return found


def route(namespace: str, name: str, *services: str, path: str = "/") -> dict[str, Any]:
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": path}}],
        "backendRefs": [{"group": "", "kind": "Service", "name": one, "port": 80, "weight": 1} for one in services],
    }
    parent = {"group": GATEWAY_API, "kind": "Gateway", "name": "gw"}
    return _object(f"{GATEWAY_API}/v1", "HTTPRoute", namespace, name, spec={"parentRefs": [parent], "rules": [rule]})


def tcp_route(namespace: str, name: str, service_name: str) -> dict[str, Any]:
    backend = {"group": "", "kind": "Service", "name": service_name, "port": 80, "weight": 1}
    parent = {"group": GATEWAY_API, "kind": "Gateway", "name": "gw"}
    spec = {"parentRefs": [parent], "rules": [{"backendRefs": [backend]}]}
    return _object(f"{GATEWAY_API}/v1", "TCPRoute", namespace, name, spec=spec)


def secret(namespace: str, name: str, value: str) -> dict[str, Any]:
    data = {"password": base64.b64encode(value.encode()).decode()}
    return _object("v1", "Secret", namespace, name, type="Opaque", data=data)


def config_map(namespace: str, name: str, value: str) -> dict[str, Any]:
    return _object("v1", "ConfigMap", namespace, name, data={"value": value})
