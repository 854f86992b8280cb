"""What remote gateways put out: an entry for each port that their cluster exports, and who their proxies are."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

from engine.envoy.names import cluster_name, listener_name
from engine.envoy.remote_gateway import IDENTITY as NAME
from engine.envoy.remote_gateway import entry
from engine.envoy.secret import certificate
from engine.graph.reader import Outputs, Reader
from engine.outputs.backend import generation
from engine.outputs.channels import BACKEND, ENTRY, IDENTITY, Used
from engine.outputs.emission import Target, emission
from engine.placement import Placement, placed
from engine.ref import Ref
from engine.resolve.backend import port_protocol
from engine.resolve.certificate import SEALER
from engine.resolve.placement import elsewhere
from engine.resolve.remote_gateway import Place, authority, identity, remote_gateways, remote_listeners, server_name
from engine.resolve.service_export import Export
from engine.resolve.values import BackendKey, Problem
from engine.seal import Sealer
from engine.update import FragmentKey, FragmentKind


class Entry(NamedTuple):
    """A port of an exported Service at a listener of its cluster's remote gateway."""

    gateway: Ref
    place: Place
    export: Ref
    service: Ref
    port: int


def entries(graph: Reader, export: Export) -> tuple[tuple[str, Entry], ...]:
    """Counts of where a valid export is let in: at the remote gateways of its own cluster."""
    ports = [one.port for one in export.ports if one.protocol == "TCP"]
    return tuple(
        (ENTRY, Entry(gateway, place, export.export, export.service, port))
        for gateway in graph.get(remote_gateways, export.cluster)
        for place in graph.get(remote_listeners, gateway)
        for port in ports
    )


def entry_outputs(graph: Reader, key: Entry) -> Outputs:
    """The filter chain that hands connections for the port on to the Service's own endpoints."""
    backend = BackendKey(key.service, key.port)
    if isinstance(graph.get(port_protocol, backend), Problem):
        return Outputs()
    asked, cluster = server_name(key.service, key.port), cluster_name(backend, key.gateway.cluster)
    name = f"{key.place.name}~{asked}"
    at = FragmentKey(key.gateway, FragmentKind.FILTER_CHAIN, name)
    sources = sorted({key.gateway, key.place.source, key.export, key.service})
    target = Target(at, key, tuple((one, graph.get(generation, one)) for one in sources), listener_name(key.place.port))
    items, counts = emission(target, entry(name, asked, cluster, graph.get(authority, "")))
    return Outputs(items, (*counts, (BACKEND, Used(key.gateway, backend)), (IDENTITY, key.gateway)))


def identity_outputs(graph: Reader, gateway: Ref) -> Outputs:
    """The certificates of a Gateway's proxies, one for each cluster that they are in, sealed."""
    sealer = graph.fact(SEALER)
    if not isinstance(sealer, Sealer):
        return Outputs()
    items: list[tuple[str, str, Any]] = []
    counts: list[tuple[str, Hashable]] = []
    for cluster in (gateway.cluster, *graph.get(elsewhere, gateway)):
        place = Placement(gateway, cluster)
        pair = identity(sealer, place)
        at = FragmentKey(gateway, FragmentKind.SECRET, placed(NAME, place.elsewhere))
        target = Target(at, gateway, ((gateway, graph.get(generation, gateway)),))
        made = emission(target, certificate(NAME, pair.certificate, pair.key), sealer)
        items += made.items
        counts += made.counts
    return Outputs(tuple(items), tuple(counts))
