"""Backends: what a backendRef reaches, by which protocol, at which addresses."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.models.texts import is_address
from engine.ref import Ref
from engine.resolve.app_protocol import protocol_of
from engine.resolve.backend_type import At
from engine.resolve.backend_types import type_of
from engine.resolve.endpoint import Endpoint
from engine.resolve.endpoint_slice import found, once
from engine.resolve.indexes import SLICES
from engine.resolve.locality import locality
from engine.resolve.manifest import KGATEWAY, MULTICLUSTER, items, object_of, served_object, spec_of
from engine.resolve.service_import import (
    IMPORT,
    From,
    import_nature,
    import_parts,
    import_view,
    imported_endpoints,
    imported_port_name,
    imported_protocol,
    imported_slices,
)
from engine.resolve.values import Backend, BackendKey, Nature, Over, Problem, Protocol


def is_supported(group: str, kind: str) -> bool:
    """Whether backendRefs of the kind are understood."""
    return (group, kind) in {("", "Service"), (KGATEWAY, "Backend"), (MULTICLUSTER, IMPORT)}


def port_protocol(graph: Reader, key: BackendKey) -> Protocol | Problem:
    """How a backend is spoken to, or why it cannot be reached; all that routes need to know of it."""
    if key.ref.kind == IMPORT:
        return _spoken(imported_protocol(graph, key), key)
    object_ = object_of(graph, key.ref)
    if object_ is None:
        return Problem("BackendNotFound", f"{_name(key)} does not exist")
    return _protocol_in(graph, spec_of(object_), key)


class Held(NamedTuple):
    """A backend, and what is held at its last good revision: EndpointSlices, and what an import is made of."""

    backend: BackendKey
    held: frozenset[Ref]


def last_good(graph: Reader, key: Held) -> Backend | Problem:
    """A backend as it was before the revision that a proxy rejected, with the endpoints of today."""
    backend, held = key
    if not held.isdisjoint(graph.get(parts, backend.ref)):
        return _of_good_parts(graph, backend, held)
    resource = graph.read(backend.ref)
    if resource is None or resource.previous is None:
        return Problem("Quarantined", "a proxy rejected it and there is no earlier revision: see penstock status")
    spec = spec_of(resource.previous)
    protocol = _protocol_in(graph, spec, backend)
    if isinstance(protocol, Problem):
        return protocol
    ends = _endpoints_in(graph, spec, backend, held)
    return Backend(backend, protocol, ends, _is_inside(spec, backend, ends))


def _of_good_parts(graph: Reader, key: BackendKey, held: frozenset[Ref]) -> Backend | Problem:
    """An import has no revision of its own: those of the exports and Services that it is made of count."""
    protocol = _spoken(imported_protocol(graph, key, held), key)
    if isinstance(protocol, Problem):
        text = f"a proxy rejected it, and nothing can be served without that ({protocol.message})"
        return Problem("Quarantined", f"{text}: see penstock status")
    return Backend(key, protocol, imported_endpoints(graph, key, key.ref.cluster, held))


def _name(key: BackendKey) -> str:
    return f"{key.ref.kind} {key.ref.namespace}/{key.ref.name}"


def _protocol_in(graph: Reader, spec: Json, key: BackendKey) -> Protocol | Problem:
    return _spoken(_said(graph, spec, key), key)


def _spoken(said: Protocol | Problem, key: BackendKey) -> Protocol | Problem:
    return Protocol.H2C if key.over is Over.HTTP2 and said is Protocol.HTTP1 else said


def _said(graph: Reader, spec: Json, key: BackendKey) -> Protocol | Problem:
    name = _name(key)
    if key.ref.kind == "Backend":
        type_ = type_of(spec)
        if type_ is None:
            return Problem("BackendNotFound", f"{name} says nothing of where it is")
        return type_.protocol(graph, spec[type_.field], key)
    if spec.get("type") == "ExternalName":
        return Problem("InvalidKind", f"{name} is of type ExternalName, which is not served: use a static Backend")
    port = _service_port(spec, key)
    if port is None:
        ports = ", ".join(str(item.get("port")) for item in items(spec.get("ports")))
        return Problem("BackendNotFound", f"{name} has no port {key.port}; it has: {ports or 'none'}")
    if port.get("protocol", "TCP") != _transport(key):
        return Problem("UnsupportedProtocol", f"port {key.port} of {name} is not {_transport(key)}")
    return protocol_of(port.get("appProtocol"), name)


def takes_streams(graph: Reader, key: BackendKey) -> bool:
    """Whether connections can go to it whole: what is more than addresses wants requests."""
    type_ = type_of(spec_of(object_of(graph, key.ref))) if key.ref.kind == "Backend" else None
    return type_ is None or type_.streams


class Manners(NamedTuple):
    """How a backend wants to be asked: by a hostname, "" for any, and past the filter of a type, "" for none."""

    hostname: str = ""
    filtered: str = ""


def manners(graph: Reader, key: BackendKey) -> Manners:
    """How a backend wants to be asked."""
    spec = spec_of(object_of(graph, key.ref))
    type_ = type_of(spec) if key.ref.kind == "Backend" else None
    if type_ is None:
        return Manners()
    return Manners(type_.hostname(spec[type_.field]), type_.field if type_.filtered else "")


def nature(graph: Reader, key: At) -> Nature | Problem | None:
    """What its cluster is beyond addresses; a problem when nothing may be sent to it."""
    if key.backend.ref.kind == IMPORT:
        return import_nature(graph, key)
    if key.backend.ref.kind != "Backend":
        return None
    spec = spec_of(served_object(graph, key.gateway, key.backend.ref))
    type_ = type_of(spec)
    return type_.nature(graph, spec[type_.field], key) if type_ is not None else None


def problem(graph: Reader, ref: Ref) -> str:
    """What stands against a Backend though it may be served, in words; "" for nothing."""
    spec = spec_of(object_of(graph, ref))
    type_ = type_of(spec)
    return type_.problem(graph, spec[type_.field], ref) if type_ is not None else ""


def parts(graph: Reader, ref: Ref) -> tuple[Ref, ...]:
    """The other objects of which a Backend or an import is made."""
    if ref.kind == IMPORT:
        return import_parts(graph, ref)
    spec = spec_of(object_of(graph, ref))
    type_ = type_of(spec) if ref.kind == "Backend" else None
    return type_.parts(spec[type_.field], ref) if type_ is not None else ()


def _transport(key: BackendKey) -> str:
    return "UDP" if key.over is Over.UDP else "TCP"


def _service_port(spec: Json, key: BackendKey) -> Json | None:
    """The port of that number, of that transport if there is one: TCP and UDP may share a number."""
    some = [port for port in items(spec.get("ports")) if port.get("port") == key.port]
    return next((port for port in some if port.get("protocol", "TCP") == _transport(key)), some[0] if some else None)


def port_name(graph: Reader, key: BackendKey) -> str:
    """The name of a Service's or an import's port; "" where it has none."""
    if key.ref.kind == IMPORT:
        return imported_port_name(graph, key)
    port = _service_port(spec_of(object_of(graph, key.ref)), key) if key.ref.kind == "Service" else None
    return str(port.get("name") or "") if port is not None else ""


def slices(graph: Reader, service: Ref) -> tuple[Ref, ...]:
    """The EndpointSlices of a Service, whoever wrote them; the Service's own type and selector do not matter.

    Those of an import are its exporting Services', of all clusters.
    """
    if service.kind == IMPORT:
        return imported_slices(graph, service)
    return graph.find(SLICES, (service.cluster, service.namespace, service.name))


def endpoints(graph: Reader, key: BackendKey) -> tuple[Endpoint, ...]:
    """Addresses of a backend, sorted: those ready, and where none is, those that still serve while they end."""
    return _endpoints_in(graph, spec_of(object_of(graph, key.ref)), key)


def good_endpoints(graph: Reader, key: BackendKey, held: frozenset[Ref]) -> tuple[Endpoint, ...]:
    """`endpoints`, but of slices that a proxy rejected only what stood in their last good revision already."""
    return _endpoints_in(graph, spec_of(object_of(graph, key.ref)), key, held)


def seen_from(
    graph: Reader, key: BackendKey, cluster: str, ends: tuple[Endpoint, ...], held: frozenset[Ref] = frozenset()
) -> tuple[Endpoint, ...]:
    """The endpoints of a backend as they are asked from another cluster; `ends` are what its own cluster asks.

    An import's are nearer or farther from there, a Service's pods are reached or not, and a Backend is where it is.
    """
    if key.ref.kind == IMPORT:
        return imported_endpoints(graph, key, cluster, held)
    if key.ref.kind == "Backend":
        return ends
    own = graph.get(locality, cluster)
    return ends if own.reaches(graph.get(locality, key.ref.cluster)) else ()


def view_from(graph: Reader, key: From) -> Hashable:
    """What two clusters have in common for which `seen_from` says the same."""
    ref = key.backend.ref
    if ref.kind == IMPORT:
        return import_view(graph, key)
    if ref.kind == "Backend":
        return ""
    return graph.get(locality, key.cluster).reaches(graph.get(locality, ref.cluster))


def _endpoints_in(
    graph: Reader, spec: Json, key: BackendKey, held: frozenset[Ref] = frozenset()
) -> tuple[Endpoint, ...]:
    if key.ref.kind == IMPORT:
        return imported_endpoints(graph, key, key.ref.cluster, held)
    if key.ref.kind == "Backend":
        type_ = type_of(spec)
        return type_.endpoints(graph, spec[type_.field], key) if type_ is not None else ()
    port = _service_port(spec, key)
    if port is None:
        return ()
    members = found(graph, slices(graph, key.ref), str(port.get("name") or ""), held)
    return once(members.ready or members.ending)


def is_inside(graph: Reader, key: BackendKey) -> bool:
    """Whether its addresses stand in its cluster: it has none but what its type says, or names that Envoy resolves."""
    if key.ref.kind != "Backend":
        return False
    return _is_inside(spec_of(object_of(graph, key.ref)), key, graph.get(endpoints, key))


def _is_inside(spec: Json, key: BackendKey, ends: tuple[Endpoint, ...]) -> bool:
    type_ = type_of(spec) if key.ref.kind == "Backend" else None
    return type_ is not None and (type_.inside or any(not is_address(end.address) for end in ends))
