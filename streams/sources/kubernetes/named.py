"""What a route names that must be there before it, as watches of different kinds are not ordered; it only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.ref import Ref

ROUTES: Final = frozenset({"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"})
_GATEWAY_API: Final = "gateway.networking.k8s.io"
_SERVICE_NAME: Final = "kubernetes.io/service-name"


def is_route(ref: Ref) -> bool:
    """Whether it is a route of the Gateway API."""
    return ref.group == _GATEWAY_API and ref.kind in ROUTES


def backends(ref: Ref, route: Mapping[str, Any]) -> frozenset[Ref]:
    """The Services (or other backends) that the route `ref` sends or mirrors to."""
    found = set()
    for rule in _items(_mapping(route.get("spec")).get("rules")):
        for one in _backend_refs(rule):
            name = one.get("name")
            # What a ServiceImport names may be of other clusters only: no source of one can wait for it.
            if isinstance(name, str) and one.get("kind") != "ServiceImport":
                namespace = str(one.get("namespace") or ref.namespace)
                group, kind = str(one.get("group") or ""), str(one.get("kind") or "Service")
                found.add(Ref(ref.cluster, group, kind, namespace, name))
    return frozenset(found)


def service_of(ref: Ref, slice_: Mapping[str, Any]) -> Ref | None:
    """The Service of the EndpointSlice `ref`."""
    labels = _mapping(_mapping(slice_.get("metadata")).get("labels"))
    name = labels.get(_SERVICE_NAME)
    return Ref(ref.cluster, "", "Service", ref.namespace, name) if isinstance(name, str) else None


def has_endpoints(service: Mapping[str, Any]) -> bool:
    """Whether a Service is one whose endpoints are in slices."""
    return _mapping(service.get("spec")).get("type") != "ExternalName"


def _backend_refs(rule: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for owner in (rule, *_items(rule.get("backendRefs"))):
        if owner is not rule:
            yield owner
        for item in _items(owner.get("filters")):
            yield from _items([_mapping(item.get("requestMirror")).get("backendRef")])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, Mapping))
