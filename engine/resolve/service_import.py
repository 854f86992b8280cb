"""ServiceImports: a Service of several clusters as one backend, the nearest endpoints first (KEP-1645, GEP-1748).

What clusters of the domain export counts, whether or not an object of the kind stands there. Of what none exports the
object counts that a controller of the Multi-Cluster Services API wrote, with the EndpointSlices that it wrote beside.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.app_protocol import protocol_of
from engine.resolve.backend_config import TLS
from engine.resolve.backend_config import At as ConfigAt
from engine.resolve.backend_config import in_force as policies_in_force
from engine.resolve.backend_type import At
from engine.resolve.backends.priority_groups import Failover
from engine.resolve.cluster import Action, in_force
from engine.resolve.endpoint import Endpoint
from engine.resolve.endpoint_slice import Found, found, once
from engine.resolve.indexes import EXPORTS, IMPORTED_SLICES, POLICIES, SLICES
from engine.resolve.locality import DRAINED, Locality, locality
from engine.resolve.manifest import held_fact, items, object_of, spec_of
from engine.resolve.placement import placements
from engine.resolve.remote_gateway import Remote, Way, authority, server_name
from engine.resolve.service_export import (
    Export,
    ExportedPort,
    Shared,
    answering,
    exported,
    exports,
    good_exports,
    port_of,
    united,
)
from engine.resolve.values import BackendKey, Over, Problem, Protocol

IMPORT: Final = "ServiceImport"


@dataclass(frozen=True, slots=True)
class Import:
    """What can be used: its ports, and the exports that it is made of; none where it is another controller's."""

    ports: tuple[ExportedPort, ...]
    exports: tuple[Export, ...] = ()


def imported(graph: Reader, ref: Ref) -> Import | None:
    """What a ServiceImport means in its cluster; None where there is none."""
    some = graph.get(exports, Shared(ref.namespace, ref.name))
    if some:
        return Import(united(some), some)
    object_ = object_of(graph, ref)
    return None if object_ is None else Import(tuple(port_of(one) for one in items(spec_of(object_).get("ports"))))


class _Held(NamedTuple):
    """An import while some of the objects that it is made of are held at their last good revision."""

    ref: Ref
    held: frozenset[Ref]


def _fallen_back(graph: Reader, key: _Held) -> Import | None:
    whole = graph.get(imported, key.ref)
    if whole is None:
        return None
    some = good_exports(graph, whole.exports, key.held)
    return Import(united(some), some)


def _import(graph: Reader, ref: Ref, held: frozenset[Ref]) -> Import | None:
    """As `imported`, without the revisions of exports and their Services that a proxy rejected."""
    mine = held.intersection(graph.get(import_parts, ref)) if held else held
    return graph.get(_fallen_back, _Held(ref, mine)) if mine else graph.get(imported, ref)


def held_parts(graph: Reader, key: At) -> frozenset[Ref]:
    """The exports and their Services that a Gateway is served as they were before its proxies rejected an import."""
    parts = graph.get(import_parts, key.backend.ref)
    return frozenset(one for one in parts if graph.fact(held_fact(key.gateway, one)))


def imported_protocol(graph: Reader, key: BackendKey, held: frozenset[Ref] = frozenset()) -> Protocol | Problem:
    """How an import is spoken to, or why it cannot be reached."""
    name, whole = f"ServiceImport {key.ref.namespace}/{key.ref.name}", _import(graph, key.ref, held)
    if whole is None:
        return Problem("BackendNotFound", f"{name}: {_unexported(graph, key.ref)}")
    port = _chosen(whole, key)
    if port is None:
        ports = ", ".join(str(one.port) for one in whole.ports)
        asked = f"has no port {key.port}" if key.port else "is named without a port"
        return Problem("BackendNotFound", f"{name} {asked}; it has: {ports or 'none'}")
    if port.protocol != _transport(key):
        return Problem("UnsupportedProtocol", f"port {key.port} of {name} is not {_transport(key)}")
    return protocol_of(port.app_protocol, name)


def _unexported(graph: Reader, ref: Ref) -> str:
    found_ = (graph.get(exported, one) for one in graph.find(EXPORTS, (ref.namespace, ref.name)))
    told = [one.message for one in found_ if isinstance(one, Problem)]
    return "; ".join(told) or "no cluster exports such a Service: write a ServiceExport beside it"


def _transport(key: BackendKey) -> str:
    return "UDP" if key.over is Over.UDP else "TCP"


def _chosen(whole: Import, key: BackendKey) -> ExportedPort | None:
    """The port of that number, of that transport if there is one."""
    some = [one for one in whole.ports if one.port == key.port]
    return next((one for one in some if one.protocol == _transport(key)), some[0] if some else None)


def imported_port_name(graph: Reader, key: BackendKey) -> str:
    """The name of the port; "" where it has none."""
    whole = graph.get(imported, key.ref)
    port = _chosen(whole, key) if whole is not None else None
    return port.name if port is not None else ""


def import_parts(graph: Reader, ref: Ref) -> tuple[Ref, ...]:
    """The objects of which an import is made, of all clusters."""
    whole = graph.get(imported, ref)
    return tuple(part for one in whole.exports for part in (one.export, one.service)) if whole is not None else ()


def imported_slices(graph: Reader, ref: Ref) -> tuple[Ref, ...]:
    """The EndpointSlices of all exporting Services, or those of another controller."""
    whole = graph.get(imported, ref)
    if whole is None:
        return ()
    if not whole.exports:
        return graph.find(IMPORTED_SLICES, (ref.cluster, ref.namespace, ref.name))
    return tuple(one for export in whole.exports for one in _slices(graph, export.service))


def _slices(graph: Reader, service: Ref) -> tuple[Ref, ...]:
    return graph.find(SLICES, (service.cluster, service.namespace, service.name))


class _Members(NamedTuple):
    """A port of an exporting Service, by name; `held` are those of its slices that a proxy rejected."""

    service: Ref
    port: str
    held: frozenset[Ref]


def _members(graph: Reader, key: _Members) -> Found:
    return found(graph, _slices(graph, key.service), key.port, key.held)


class From(NamedTuple):
    """A backend as it is asked from a cluster."""

    backend: BackendKey
    cluster: str


def import_view(graph: Reader, key: From) -> Hashable:
    """What two clusters have in common that ask for an import's endpoints alike."""
    whole = graph.get(imported, key.backend.ref)
    if whole is None or any(one.cluster == key.cluster for one in whole.exports):
        return key.cluster
    own = graph.get(locality, key.cluster)
    return own.region, own.network


def imported_endpoints(graph: Reader, key: BackendKey, at: str, held: frozenset[Ref]) -> tuple[Endpoint, ...]:
    """Those of the cluster `at` first, then its region's, then the rest, then drained ones: priorities without gaps.

    Those of another network are its remote gateway.

    Where any cluster has some that are ready, those that end are of no other use. What is `held` is as it was before.
    """
    return _endpoints_at(graph, key, at, held, remote=True)


def direct_endpoints(graph: Reader, key: BackendKey, at: str, held: frozenset[Ref]) -> tuple[Endpoint, ...]:
    """`imported_endpoints` of what cannot be reached through remote gateways: what is behind them does not count."""
    return _endpoints_at(graph, key, at, held, remote=False)


def _endpoints_at(
    graph: Reader, key: BackendKey, at: str, held: frozenset[Ref], *, remote: bool
) -> tuple[Endpoint, ...]:
    whole = _import(graph, key.ref, held)
    port = _chosen(whole, key) if whole is not None else None
    if whole is None or port is None:
        return ()
    if not whole.exports:
        members = found(graph, imported_slices(graph, key.ref), port.name, held)
        return once(members.ready or members.ending)
    own = graph.get(locality, at)
    some: list[tuple[int, Found]] = []
    for export in whole.exports:
        rank, there = _rank(graph, own, export.cluster), graph.get(locality, export.cluster)
        if rank is None or answering(export, port) is None or not (remote or own.reaches(there)):
            continue
        mine = held.intersection(_slices(graph, export.service)) if held else held
        members = graph.get(_members, _Members(export.service, port.name, mine))
        some.append((rank, Found(*(own.seen(there, ends) for ends in members))))
    chosen = [(rank, one.ready) for rank, one in some if one.ready] or [(rank, one.ending) for rank, one in some]
    return _ranked(once(replace(end, priority=rank) for rank, ends in chosen for end in ends))


def _ranked(some: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """With priorities that leave none out, as Envoy wants them."""
    ranks = {rank: number for number, rank in enumerate(sorted({one.priority for one in some}))}
    return tuple(replace(one, priority=ranks[one.priority]) for one in some)


def _rank(graph: Reader, own: Locality, exporting: str) -> int | None:
    """How far away a cluster is; None for one of which nothing is used. The own cluster's proxies reach its pods."""
    distance = own.distance(graph.get(locality, exporting))
    action = graph.get(in_force, exporting) if distance else Action.KEEP
    return None if action is Action.DROP else DRAINED if action is Action.DRAIN else distance


def takes_remote(graph: Reader, key: At) -> bool:
    """Whether an import can be reached through remote gateways.

    They take TCP, in TLS between proxies: a backend that wants TLS itself would be spoken to in clear behind them.
    """
    if key.backend.over in (Over.UDP, Over.RAW):
        return key.backend.over is Over.RAW
    config = graph.get(policies_in_force, ConfigAt(key.gateway, key.backend.ref))
    return not graph.find(POLICIES, key.backend.ref) and TLS not in {one.field for one in config}


def import_nature(graph: Reader, key: At) -> Failover:
    """Of all imports that their endpoints are watched; of those with some in other networks how these are reached.

    From wherever the Gateway has proxies: which of the ways one goes is said by its endpoints.
    """
    held = graph.get(held_parts, key)
    found_ = (graph.get(_ways, _Asked(key.backend, one.cluster, held)) for one in graph.get(placements, key.gateway))
    ways = tuple(sorted({way for some in found_ for way in some}))
    if not ways or not graph.get(takes_remote, key):
        return Failover()
    return Remote(ways=ways, authority=graph.get(authority, ""))


class _Asked(NamedTuple):
    """An import as it is asked from a cluster, while some of what it is made of is held."""

    backend: BackendKey
    cluster: str
    held: frozenset[Ref]


def _ways(graph: Reader, key: _Asked) -> tuple[Way, ...]:
    whole = _import(graph, key.backend.ref, key.held)
    port = _chosen(whole, key.backend) if whole is not None else None
    if whole is None or port is None:
        return ()
    own, found_ = graph.get(locality, key.cluster), []
    for export in whole.exports:
        there, mine = graph.get(locality, export.cluster), answering(export, port)
        if mine is not None and not own.reaches(there) and there.gateway is not None:
            found_.append(Way(export.cluster, server_name(export.service, mine.port)))
    return tuple(sorted(found_))
