"""The indexes over resources that queries find by; each key function is pure and total."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from engine.graph.graph import index_keys
from engine.graph.reader import IndexKeys, Resource
from engine.ref import Ref
from engine.resolve.manifest import SERVICE_NAME, items, labels_of, spec_of

SLICES = "slices"
"""EndpointSlices by (cluster, namespace, Service name)."""
GRANTS = "grants"
"""ReferenceGrants by (cluster, namespace)."""
PORTS = "ports"
"""Gateways by listener port, in whatever cluster."""


def _slices(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    service = labels_of(resource.object).get(SERVICE_NAME)
    return ((ref.cluster, ref.namespace, service),) if service else ()


def _grants(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    return ((ref.cluster, ref.namespace),) if resource.object is not None else ()


def _ports(ref: Ref, resource: Resource) -> Iterable[Hashable]:  # noqa: ARG001  an index key function takes both
    ports = (listener.get("port") for listener in items(spec_of(resource.object).get("listeners")))
    return tuple(port for port in ports if isinstance(port, int))


INDEXES: dict[str, IndexKeys] = {
    SLICES: index_keys(kind="EndpointSlice", keys=_slices),
    GRANTS: index_keys(kind="ReferenceGrant", keys=_grants),
    PORTS: index_keys(kind="Gateway", keys=_ports),
}
