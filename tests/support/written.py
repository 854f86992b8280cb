"""Manifests as people write them into files, as short as they can be said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

GATEWAY = "gw"


def gateway(port: int) -> str:
    """The Gateway with one HTTP listener."""
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {GATEWAY}}}
spec: {{gatewayClassName: penstock, listeners: [{{name: http, port: {port}, protocol: HTTP}}]}}
"""


def service(name: str, port: int, protocol: str = "http") -> str:
    """A Service with one endpoint on this machine."""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{name: http, port: 80, appProtocol: {protocol}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
"""


def route(name: str, place: tuple[str, str], backend: str, version: str, *, rules: int = 1) -> str:
    """An HTTPRoute for a host and a path, whose answers say which version of it answered.

    Its second rule, if it is to have one, answers the same for `below(path)`.
    """
    paths = [place[1], below(place[1])][:rules]
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: {GATEWAY}}}]
  hostnames: [{place[0]}]
  rules:
""" + "".join(_rule(path, backend, version) for path in paths)


def _rule(path: str, backend: str, version: str) -> str:
    return f"""
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    filters:
    - {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-version, value: "{version}"}}]}}}}
    backendRefs: [{{name: {backend}, port: 80}}]
"""


def below(path: str) -> str:
    """A path below a path."""
    return f"{path.rstrip('/')}/below"


def put(directory: Path, name: str, manifests: Sequence[str]) -> None:
    """Write a file as an editor does: aside, then in its place."""
    aside = directory / f".{name}"
    aside.write_text("---".join(manifests))
    aside.rename(directory / name)
