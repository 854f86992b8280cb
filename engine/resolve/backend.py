"""Backends: what a backendRef reaches, by which protocol, at which addresses."""

from __future__ import annotations

import ipaddress

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.indexes import SLICES
from engine.resolve.manifest import DISCOVERY, KGATEWAY, items, mapping, object_of, spec_of
from engine.resolve.values import Backend, BackendKey, Endpoint, Problem, Protocol

__all__ = ["DISCOVERY", "backend", "endpoints", "is_supported", "port_protocol", "slices"]

_PROTOCOLS = {
    "http2": Protocol.H2C,
    "grpc": Protocol.H2C,
    "grpc-web": Protocol.H2C,
    "kubernetes.io/h2c": Protocol.H2C,
    "kubernetes.io/ws": Protocol.WEBSOCKET,
}
_REFUSED = {"kubernetes.io/wss"}


def is_supported(group: str, kind: str) -> bool:
    """Whether backendRefs of the kind are understood."""
    return (group, kind) in {("", "Service"), (KGATEWAY, "Backend")}


def port_protocol(graph: Reader, key: BackendKey) -> Protocol | Problem:
    """How a backend is spoken to, or why it cannot be reached; all that routes need to know of it."""
    object_ = object_of(graph, key.ref)
    name = f"{key.ref.kind} {key.ref.namespace}/{key.ref.name}"
    if object_ is None:
        return Problem("BackendNotFound", f"{name} does not exist")
    spec = spec_of(object_)
    if key.ref.kind == "Backend":
        return _backend_protocol(spec, name)
    if spec.get("type") == "ExternalName":
        return Problem("InvalidKind", f"{name} is of type ExternalName, which is not served: use a static Backend")
    port = _service_port(spec, key.port)
    if port is None:
        ports = ", ".join(str(item.get("port")) for item in items(spec.get("ports")))
        return Problem("BackendNotFound", f"{name} has no port {key.port}; it has: {ports or 'none'}")
    if port.get("protocol", "TCP") != "TCP":
        return Problem("UnsupportedProtocol", f"port {key.port} of {name} is not TCP")
    return _protocol(port.get("appProtocol"), name)


def _backend_protocol(spec: Json, name: str) -> Protocol | Problem:
    static = mapping(spec.get("static"))
    if not items(static.get("hosts")):
        return Problem("BackendNotFound", f"{name} has no spec.static.hosts: other types are not served")
    return _protocol(static.get("appProtocol"), name)


def _protocol(app_protocol: object, name: str) -> Protocol | Problem:
    if app_protocol in _REFUSED:
        return Problem("UnsupportedProtocol", f"{name} has appProtocol {app_protocol}, which is not served")
    return _PROTOCOLS.get(str(app_protocol), Protocol.HTTP1)


def _service_port(spec: Json, number: int) -> Json | None:
    return next((port for port in items(spec.get("ports")) if port.get("port") == number), None)


def slices(graph: Reader, service: Ref) -> tuple[Ref, ...]:
    """The EndpointSlices of a Service, whoever wrote them; the Service's own type and selector do not matter."""
    return graph.find(SLICES, (service.cluster, service.namespace, service.name))


def endpoints(graph: Reader, key: BackendKey) -> tuple[Endpoint, ...]:
    """Addresses of a backend, sorted: those ready, and where none is, those that still serve while they end."""
    spec = spec_of(object_of(graph, key.ref))
    if key.ref.kind == "Backend":
        return _static(spec)
    port = _service_port(spec, key.port)
    if port is None:
        return ()
    ready: set[Endpoint] = set()
    ending: set[Endpoint] = set()
    for slice_ in slices(graph, key.ref):
        object_ = object_of(graph, slice_)
        if object_ is None or object_.get("addressType") == "FQDN":
            continue
        number = _slice_port(object_, str(port.get("name") or ""))
        for item in items(object_.get("endpoints")) if number else ():
            into = _state(mapping(item.get("conditions")), ready, ending)
            if into is not None:
                into.update(_addresses(item, number or 0))
    return tuple(sorted(ready or ending, key=lambda end: (end.zone, end.address, end.port)))


def _slice_port(object_: Json, name: str) -> int | None:
    for port in items(object_.get("ports")):
        number = port.get("port")
        if str(port.get("name") or "") == name and isinstance(number, int):
            return number
    return None


def _state(conditions: Json, ready: set[Endpoint], ending: set[Endpoint]) -> set[Endpoint] | None:
    """Absent `ready` counts as ready (EndpointConditions of discovery/v1)."""
    if conditions.get("ready") in (None, True):
        return ready
    return ending if conditions.get("serving") is True and conditions.get("terminating") is True else None


def _addresses(item: Json, port: int) -> list[Endpoint]:
    addresses = item.get("addresses")
    zone, hostname = str(item.get("zone") or ""), str(item.get("hostname") or "")
    # Consumers use the first address only (Endpoint.addresses of discovery/v1).
    return [Endpoint(str(address), port, zone, hostname) for address in list(addresses or ())[:1]]


def _static(spec: Json) -> tuple[Endpoint, ...]:
    hosts = items(mapping(spec.get("static")).get("hosts"))
    return tuple(Endpoint(str(host.get("host", "")), int(host.get("port", 0))) for host in hosts)


def backend(graph: Reader, key: BackendKey) -> Backend | None:
    """A backend with its addresses; None when it cannot be reached."""
    protocol = graph.get(port_protocol, key)
    if isinstance(protocol, Problem):
        return None
    found = graph.get(endpoints, key)
    return Backend(key, protocol, found, dns=any(not _is_address(end.address) for end in found))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
