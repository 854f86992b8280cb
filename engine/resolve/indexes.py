"""The indexes over resources that queries find by; each key function is pure and total."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from ipaddress import ip_address

from engine.graph.graph import index_keys
from engine.graph.reader import IndexKeys, Json, Resource
from engine.ref import Ref
from engine.resolve.manifest import (
    IMPORT_NAME,
    REMOTE_GATEWAY,
    SERVICE_NAME,
    gateway_ref,
    items,
    labels_of,
    mapping,
    spec_of,
    transport,
)
from engine.resolve.targets import KINDS, TARGETS, target_keys

SLICES = "slices"
"""EndpointSlices by (cluster, namespace, Service name)."""
IMPORTED_SLICES = "imported_slices"
"""EndpointSlices by (cluster, namespace, name) of the ServiceImport for which another controller wrote them."""
EXPORTS = "exports"
"""ServiceExports by (namespace, name), in whatever cluster."""
GRANTS = "grants"
"""ReferenceGrants by (cluster, namespace)."""
PORTS = "ports"
"""Gateways and ListenerSets by (transport, port) of a listener, in whatever cluster, of the last good revision too."""
CLUSTERS = "clusters"
"""Cluster objects by the cluster in which they stand."""
REMOTE_GATEWAYS = "remote_gateways"
"""Gateways and ListenerSets with a listener for other networks, by cluster."""
ENTRANCES = "entrances"
"""Cluster objects by (their own cluster, address, port) of the remote gateway."""
SETS = "sets"
"""ListenerSets by the Gateway that they name."""
LABELLED = "labelled"
"""Secrets by (cluster, namespace, label, value)."""

POLICIES = "policies"
"""BackendTLSPolicies by what their targetRefs name."""


def _slices(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    service = labels_of(resource.object).get(SERVICE_NAME)
    return ((ref.cluster, ref.namespace, service),) if service else ()


def _imported_slices(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    name = labels_of(resource.object).get(IMPORT_NAME)
    return ((ref.cluster, ref.namespace, name),) if name else ()


def _exports(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    return ((ref.namespace, ref.name),) if resource.object is not None else ()


def _grants(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    return ((ref.cluster, ref.namespace),) if resource.object is not None else ()


def _ports(ref: Ref, resource: Resource) -> Iterable[Hashable]:  # noqa: ARG001  an index key function takes both
    return tuple(dict.fromkeys([*places(resource.object), *places(resource.previous)]))


def places(object_: Json | None) -> list[tuple[str, int]]:
    """(transport, port) of the listeners of a Gateway or ListenerSet, in order."""
    listeners = items(spec_of(object_).get("listeners"))
    found = [(transport(str(one.get("protocol"))), one.get("port")) for one in listeners]
    return [(carrier, port) for carrier, port in found if isinstance(port, int)]


def _clusters(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    return (ref.cluster,) if resource.object is not None else ()


def _remote_gateways(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    every = (*items(spec_of(resource.object).get("listeners")), *items(spec_of(resource.previous).get("listeners")))
    return (ref.cluster,) if any(one.get("protocol") == REMOTE_GATEWAY for one in every) else ()


def entrance_of(spec: Json) -> tuple[str, int] | None:
    """Address and port of a Cluster's remote gateway, an address always written in the same way."""
    entry = mapping(spec.get("remoteGateway"))
    return (str(ip_address(str(entry["address"]))), int(entry["port"])) if entry else None


def _entrances(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    found = entrance_of(spec_of(resource.object))
    return ((ref.cluster, *found),) if found is not None else ()


def _sets(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    parent = mapping(spec_of(resource.object).get("parentRef"))
    if resource.object is None or parent.get("kind", "Gateway") != "Gateway":
        return ()
    return (gateway_ref(ref.cluster, str(parent.get("namespace") or ref.namespace), str(parent.get("name", ""))),)


def _policies(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    named = (
        Ref(ref.cluster, str(one.get("group", "")), str(one.get("kind")), ref.namespace, str(one.get("name")))
        for one in items(spec_of(resource.object).get("targetRefs"))
    )
    return tuple(dict.fromkeys(named))


def _labelled(ref: Ref, resource: Resource) -> Iterable[Hashable]:
    # Of the present revision alone: one that lost the label is out, whatever a Gateway is still served of it.
    return ((ref.cluster, ref.namespace, *pair) for pair in labels_of(resource.object).items())


INDEXES: dict[str, IndexKeys] = {
    SLICES: index_keys("EndpointSlice", keys=_slices),
    IMPORTED_SLICES: index_keys("EndpointSlice", keys=_imported_slices),
    EXPORTS: index_keys("ServiceExport", keys=_exports),
    GRANTS: index_keys("ReferenceGrant", keys=_grants),
    PORTS: index_keys("Gateway", "ListenerSet", keys=_ports),
    POLICIES: index_keys("BackendTLSPolicy", keys=_policies),
    TARGETS: index_keys(*KINDS, keys=target_keys),
    CLUSTERS: index_keys("Cluster", keys=_clusters),
    REMOTE_GATEWAYS: index_keys("Gateway", "ListenerSet", keys=_remote_gateways),
    ENTRANCES: index_keys("Cluster", keys=_entrances),
    SETS: index_keys("ListenerSet", keys=_sets),
    LABELLED: index_keys("Secret", keys=_labelled),
}
