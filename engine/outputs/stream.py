"""What routes of connections and datagrams put out, and what stands where they claim: the oldest route serves it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any, NamedTuple

from engine.document import document
from engine.envoy.cluster import cluster
from engine.envoy.names import BLACKHOLE, assignment_name, cluster_name, listener_name, secret_name, udp_name
from engine.envoy.stream import shares, stream_chain
from engine.graph.reader import Outputs, Reader
from engine.outputs.backend import assigned, backend_broken, generation, slices_of
from engine.outputs.channels import ATTACHED, BACKEND, CHAIN, NODE, STATUS, Chain, Used
from engine.outputs.emission import Emission, Target, broken, emission
from engine.outputs.listener_policy import stream_added
from engine.outputs.rivals import Rank, rank
from engine.ref import Ref
from engine.resolve.attachment import Parent, Served, attachments, parent_gateways, standing_at
from engine.resolve.backend_config import TLS, At, hash_policies, in_force
from engine.resolve.backend_tls import policies
from engine.resolve.endpoint import Endpoint
from engine.resolve.listener import Listener, listeners
from engine.resolve.listener_policy import Place
from engine.resolve.manifest import refused_from_the_start
from engine.resolve.placement import elsewhere
from engine.resolve.stream import ResolvedStream, resolved_stream
from engine.resolve.termination import terminations
from engine.resolve.values import Backend, BackendKey, Destination, Over, Problem, Protocol, StreamChain, Verdict
from engine.status.route import accepted, refused_status, route_status
from engine.update import FragmentKey, FragmentKind


class _Serving(NamedTuple):
    """A chain and whose it is: what is broken there, only that route reads."""

    chain: Chain
    owner: Ref


_NOWHERE = ResolvedStream((), Verdict(), "", 0)


def stream_outputs(graph: Reader, ref: Ref) -> Outputs:
    """Everything of one route; what serves its traffic stands where it claims."""
    counts: dict[tuple[str, Hashable], None] = {}
    claimed: dict[tuple[str, Hashable, Any], None] = {}
    parents: dict[int, tuple[Parent, Verdict]] = {}
    first: ResolvedStream | None = None
    for gateway in graph.get(parent_gateways, ref):
        key = Served(gateway, ref)
        resolved = graph.get(resolved_stream, key)
        if resolved is None:
            continue
        first = first or resolved
        mine = rank(resolved.created, ref)
        wanted = graph.get(attachments, key)
        stands = [
            Chain(gateway, one.listener, one.hostname) for parent in wanted for one in parent.shared if one.placement
        ]
        counts |= {(CHAIN, one): None for one in stands}
        claimed |= {(CHAIN, one, mine): None for one in stands}
        verdict = _verdict(graph, key, resolved, stands)
        parents |= {parent.index: (parent, verdict) for parent in wanted}
        counts |= {(ATTACHED, (gateway, name)): None for name in accepted(wanted, verdict)}
    items: list[tuple[str, str, Any]] = []
    if parents and first is not None:
        items.append((STATUS, str(ref), document(route_status(graph, ref, parents))))
        node = _node(ref, first, [one for one, _ in parents.values()])
        items.append((NODE, f"route/{ref}", document({**node, "gateways": standing_at(graph, ref)})))
    elif (never := refused_from_the_start(graph, ref)) is not None:
        refused = refused_status(graph, ref, never)
        items += [(STATUS, str(ref), document(refused))] if refused is not None else []
    return Outputs(tuple(items), tuple(counts), tuple(claimed))


def _verdict(graph: Reader, key: Served, resolved: ResolvedStream, stands: list[Chain]) -> Verdict:
    """With what Envoy's field rules have against what the route serves. It must not ask who serves: all would rerun."""
    told = resolved.verdict
    used = [Used(key.gateway, one) for one in _backends(resolved)]
    unresolved = [problem for one in used if (problem := backend_broken(graph, one)) is not None]
    said = [broken(graph, _Serving(one, key.route), (chain_outputs, one)) for one in stands]
    against = dict.fromkeys(text for text in said if text is not None)
    partly = [Problem("UnsupportedValue", f"Envoy would not take its filter chain: {text}") for text in against]
    return Verdict((*told.unresolved, *unresolved), told.refused, (*told.partly, *partly))


def _backends(resolved: ResolvedStream) -> tuple[BackendKey, ...]:
    return tuple(dict.fromkeys(one.backend for one in resolved.destinations if one.backend is not None and one.weight))


def chain_outputs(graph: Reader, key: Chain) -> Outputs:
    """What serves a hostname of a listener: its oldest route, or what closes every connection."""
    found = next((one for one in graph.get(listeners, key.gateway) or () if one.name == key.listener), None)
    if found is None or not found.serves:
        return Outputs()
    claim: Rank | None = graph.first(CHAIN, key)
    resolved = graph.get(resolved_stream, Served(key.gateway, claim[2])) if claim is not None else None
    owner = claim[2] if claim is not None else key.gateway
    provenance = ((owner, graph.get(generation, owner)),)
    served = resolved or _NOWHERE
    if found.transport == "UDP":
        return _udp(graph, key, found, served, provenance)
    if not found.tls:
        served = _raw(graph, key.gateway, found, served)
    value = _chain(graph, key, found, served)
    if value is None:
        return Outputs()
    at = FragmentKey(key.gateway, FragmentKind.FILTER_CHAIN, value.name)
    section = found.section if found.source == key.gateway else ""
    added, policies = graph.get(stream_added, Place(key.gateway, found.port, section))
    told = (*provenance, *((one, graph.get(generation, one)) for one in policies))
    items, counts = emission(
        Target(at, _Serving(key, owner), told, listener_name(found.port)), stream_chain(value, added)
    )
    used = ((BACKEND, Used(key.gateway, one)) for one in _backends(served))
    return Outputs(items, tuple(dict.fromkeys((*counts, *used))))


def _chain(graph: Reader, key: Chain, listener: Listener, served: ResolvedStream) -> StreamChain | None:
    """None while the listener has no certificate to end TLS with."""
    secrets: tuple[str, ...] | None = None
    if listener.tls:
        ends = {one.listener: one.secrets for one in graph.get(terminations, key.gateway)}
        secrets = tuple(secret_name(one) for one in ends.get(listener.name, ()))
        if not secrets:
            return None
    clusters = tuple((_cluster(key, one), one.weight) for one in served.destinations)
    name = "" if key.hostname == "*" else key.hostname
    used = [At(key.gateway, one.ref) for one in _backends(served)]
    by_client = any(hashed.kind == "source" for one in used for hashed in graph.get(hash_policies, one))
    name_of = f"{listener.name}~{key.hostname}" if name else listener.name
    return StreamChain(name_of, name, clusters, secrets, by_client)


def _raw(graph: Reader, gateway: Ref, listener: Listener, served: ResolvedStream) -> ResolvedStream:
    """Without TLS of ours: what is passed on whole has the client's, and a policy for the backend is for others.

    A BackendConfigPolicy's `tls` is for what comes in clear, as kgateway has it: it would be put around the client's.
    """

    def is_raw(one: BackendKey) -> bool:
        if graph.get(policies, one):
            return True
        config = graph.get(in_force, At(gateway, one.ref)) if listener.protocol == "TLS" else ()
        return TLS in {block.field for block in config}

    raw = tuple(
        replace(one, backend=replace(one.backend, over=Over.RAW))
        if one.backend is not None and is_raw(one.backend)
        else one
        for one in served.destinations
    )
    return replace(served, destinations=raw)


def _cluster(key: Chain, one: Destination) -> str:
    return BLACKHOLE if one.backend is None else cluster_name(one.backend, key.gateway.cluster)


def _udp(
    graph: Reader, key: Chain, listener: Listener, served: ResolvedStream, provenance: tuple[tuple[Ref, int], ...]
) -> Outputs:
    """The one cluster of a UDP listener, with the endpoints of all backends."""
    name = udp_name(listener.port)
    at = FragmentKey(key.gateway, FragmentKind.CLUSTER, name)
    value = Backend(BackendKey(key.gateway, listener.port), Protocol.HTTP1, ())
    items, counts = emission(
        Target(at, key, ((key.gateway, graph.get(generation, key.gateway)),)), cluster(value, name)
    )
    found = {ref for one in _backends(served) for ref in slices_of(graph, Used(key.gateway, one)) or (one.ref,)}
    from_ = tuple((ref, graph.get(generation, ref)) for ref in sorted(found)) or provenance
    to = Target(FragmentKey(key.gateway, FragmentKind.ENDPOINTS, name), _Serving(key, provenance[0][0]), from_)
    parts = _shares(graph, key, served, "")
    made = [Emission(items, counts), emission(to, shares(name, parts))]
    for cluster_ in graph.get(elsewhere, key.gateway):
        there = _shares(graph, key, served, cluster_)
        if there != parts:
            at = to.key._replace(name=assignment_name(name, cluster_))
            made.append(emission(to._replace(key=at), shares(name, there)))
    counted = dict.fromkeys(count for one in made for count in one.counts)
    return Outputs(tuple(item for one in made for item in one.items), tuple(counted))


def _shares(
    graph: Reader, key: Chain, served: ResolvedStream, where: str
) -> tuple[tuple[tuple[Endpoint, ...], int], ...]:
    """The endpoints of each backend, as proxies of a cluster ("" for the own) ask them, with its weight."""
    return tuple((_endpoints(graph, key, one, where), one.weight) for one in served.destinations)


def _endpoints(graph: Reader, key: Chain, one: Destination, where: str) -> tuple[Endpoint, ...]:
    found = assigned(graph, Used(key.gateway, one.backend), where) if one.backend is not None else None
    return found.endpoints if isinstance(found, Backend) else ()


def _node(ref: Ref, first: ResolvedStream, parents: list[Parent]) -> dict[str, Any]:
    """The public picture of a route: where it stands and where it sends."""
    return {
        "route": str(ref),
        "generation": first.generation,
        "hostnames": sorted({one.hostname for parent in parents for one in parent.shared if one.placement}),
        "listeners": sorted({name for parent in parents for name in parent.listeners}),
        "rules": [
            {
                "backends": [
                    {
                        "backend": f"{one.backend.ref}:{one.backend.port}" if one.backend is not None else None,
                        "weight": one.weight,
                        "problem": one.problem.message if one.problem is not None else None,
                    }
                    for one in first.destinations
                ]
            }
        ],
    }
