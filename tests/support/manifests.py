"""Objects and change sets for tests, as short as they can be said."""

from __future__ import annotations

from typing import Any

from engine.events import Change, ChangeSet, Delete, Put
from engine.ref import Ref

API = "gateway.networking.k8s.io"
CREATED = "2026-01-01T00:00:00.000Z"
TIME = "2026-11-24T10:00:00.000Z"
CLUSTER = "local"


def put(group: str, version: str, kind: str, name: str, body: dict[str, Any], generation: int = 1) -> Put:
    """An object of namespace default as it stands in the log."""
    namespaced = kind not in {"Namespace", "GatewayClass", "Cluster"}
    body = dict(body)
    metadata = {"name": name, "generation": generation, "creationTimestamp": CREATED, **body.pop("metadata", {})}
    if namespaced:
        metadata.setdefault("namespace", "default")
    ref = Ref(CLUSTER, group, kind, str(metadata.get("namespace", "")), name)
    api = f"{group}/{version}" if group else version
    return Put(ref, {"apiVersion": api, "kind": kind, "metadata": metadata, **body})


def gateway(name: str = "gw", *listeners: dict[str, Any], generation: int = 1) -> Put:
    """A Gateway; one HTTP listener on port 8080 unless others are given."""
    found = list(listeners) or [{"name": "http", "port": 8080, "protocol": "HTTP"}]
    return put(API, "v1", "Gateway", name, {"spec": {"gatewayClassName": "penstock", "listeners": found}}, generation)


def route(name: str, backend: str = "s", path: str = "/", generation: int = 1, **spec: Any) -> Put:
    """An HTTPRoute of Gateway gw with one rule."""
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": path}}],
        "backendRefs": [{"name": backend, "port": 80}],
    }
    body = {"parentRefs": [{"name": "gw"}], "rules": [rule], **spec}
    return put(API, "v1", "HTTPRoute", name, {"spec": body}, generation)


def service(name: str = "s", generation: int = 1, **port: Any) -> Put:
    """A Service with port 80."""
    return put("", "v1", "Service", name, {"spec": {"ports": [{"name": "http", "port": 80, **port}]}}, generation)


def endpoints(name: str = "s", *addresses: str, port: int = 9000, generation: int = 1) -> Put:
    """The EndpointSlice of a Service."""
    ends = [{"addresses": [one], "conditions": {"ready": True}} for one in addresses or ("127.0.0.1",)]
    body = {
        "metadata": {"labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}],
        "endpoints": ends,
    }
    return put("discovery.k8s.io", "v1", "EndpointSlice", f"{name}-1", body, generation)


def change_set(*changes: Change, number: int = 0, source: str = "files") -> ChangeSet:
    """One change set of cluster local."""
    return ChangeSet("default", CLUSTER, source, str(number), TIME, "test", tuple(changes))


def delete(of: Put) -> Delete:
    """The end of an object."""
    return Delete(of.ref)
