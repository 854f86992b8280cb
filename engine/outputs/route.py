"""What a route that takes requests puts out: its Envoy routes in every virtual host, its status, its node."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from engine.document import document
from engine.envoy.effect import Effect
from engine.envoy.fragment import Provenance, fragment
from engine.envoy.names import cluster_name, route_name, virtual_host_name
from engine.envoy.route import Place, variants
from engine.graph.reader import Outputs, Reader
from engine.outputs.backend import backend_broken, generation
from engine.outputs.channels import ATTACHED, BACKEND, FRAGMENT, HOST, NODE, STANDING, STATUS, Host, Stood, Used
from engine.outputs.gateway import host_broken
from engine.outputs.lawful import Entry, lawful, replaced, without
from engine.outputs.policies import TRAFFIC, At, of_rule, stood
from engine.outputs.rivals import claims, rank, unrivalled
from engine.ref import Ref
from engine.resolve.attachment import Parent, Placement, Served, attachments, parent_gateways
from engine.resolve.certificate import SEALER
from engine.resolve.listener import listeners
from engine.resolve.manifest import refused_from_the_start
from engine.resolve.policy import Aim
from engine.resolve.precedence import order
from engine.resolve.rule import ResolvedRoute, resolved_route
from engine.resolve.values import BackendKey, Problem, RouteEntry, Rule
from engine.seal import Sealer
from engine.status.route import accepted, refused_status, route_status
from engine.update import FragmentKey, FragmentKind

Counts = tuple[tuple[str, Hashable], ...]


def route_outputs(graph: Reader, ref: Ref) -> Outputs:
    """Everything of one route."""
    items: list[tuple[str, str, Any]] = []
    counts: dict[tuple[str, Hashable], None] = {}
    claimed: dict[tuple[str, Hashable, Any], None] = {}
    parents: dict[int, tuple[Parent, ResolvedRoute]] = {}
    for gateway in graph.get(parent_gateways, ref):
        key = Served(gateway, ref)
        resolved = graph.get(resolved_route, key)
        if resolved is None:
            continue
        mine = rank(resolved.created, ref)
        wanted = [unrivalled(graph, key, parent, mine) for parent in graph.get(attachments, key)]
        claimed |= {one: None for parent in wanted for one in claims(key, parent, mine)}
        # Wanted though Envoy would not take it: else nobody would know any more why it is not served.
        counts |= {(HOST, Host(gateway, *place)): None for parent in wanted for place in parent.placements}
        attached = [_reachable(graph, gateway, parent) for parent in wanted]
        placements = sorted({place for parent in attached for place in parent.placements})
        ports = {one.route_config: one.port for one in graph.get(listeners, gateway) or ()}
        made = [one for place in placements for one in _entries(graph, key, place, resolved, ports[place.route_config])]
        items += [one.item for one in made if one.item is not None]
        resolved = without(resolved, made)
        if placements:
            used = dict.fromkeys(Used(gateway, one) for rule in resolved.rules for one in backends(rule.rule))
            used |= {Used(gateway, backend): None for one in made for backend in one.backends}
            counts |= {(BACKEND, one): None for one in used}
            resolved = _unserved(graph, resolved, used)
        parents |= {parent.index: (parent, resolved) for parent in attached}
        counts |= {(ATTACHED, (gateway, name)): None for name in accepted(attached, resolved.verdict)}
        counts |= {(STANDING, one): None for one in _stood(graph, key, resolved)}
    if parents:
        items.append(
            (
                STATUS,
                str(ref),
                document(
                    route_status(graph, ref, {at: (parent, one.verdict) for at, (parent, one) in parents.items()})
                ),
            )
        )
        items.append((NODE, f"route/{ref}", document(_node(ref, parents))))
    elif (never := refused_from_the_start(graph, ref)) is not None:
        refused = refused_status(graph, ref, never)
        items += [(STATUS, str(ref), document(refused))] if refused is not None else []
    return Outputs(tuple(items), tuple(counts), tuple(claimed))


def _stood(graph: Reader, key: Served, resolved: ResolvedRoute) -> Iterable[Stood]:
    """What each policy that stands at the route, or at a rule of it, has there."""
    if not any(one.blocks for one in resolved.rules):
        return ()
    names = dict.fromkeys(("", *(one.rule.name for one in resolved.rules)))
    return [one for name in names for one in graph.get(stood, Aim(key.gateway, TRAFFIC, key.route, name))]


def backends(rule: Rule) -> tuple[BackendKey, ...]:
    """The backends that a rule sends requests to."""
    if rule.replaced is not None or rule.redirect is not None:
        return ()
    asked = [one for one in rule.destinations if one.problem is None and one.weight and one.redirect is None]
    mirrors = [*rule.mirrors, *(mirror for one in asked for mirror in one.mirrors)]
    found = [one.backend for one in asked if one.backend is not None]
    return tuple(dict.fromkeys([*found, *(one.backend for one in mirrors)]))


class _Spot(NamedTuple):
    """Where entries of a rule stand: virtual host, and what policies do there, or why they do not let anything by."""

    host: str
    place: Place
    effect: Effect
    against: Problem | None
    provenance: Provenance
    sealer: Sealer | None


def _entries(graph: Reader, key: Served, place: Placement, resolved: ResolvedRoute, port: int) -> list[Entry]:
    host = virtual_host_name(place.route_config, place.hostname)
    standing = Place(port, place.tls, place.hostname)
    found: list[Entry] = []
    for number, item in enumerate(resolved.rules):
        effect, against = of_rule(graph, At(key.gateway, place.listener), item.blocks)
        sources = tuple((one, graph.get(generation, one)) for one in effect.sources)
        sealer = graph.fact(SEALER) if effect.sealed else None
        spot = _Spot(host, standing, effect, against, ((key.route, resolved.generation), *sources), sealer)
        for index, match in enumerate(item.matches):
            name = f"{host}-{route_name(key.route, number, index, item.rule.name)}"
            rank = order(match, resolved.created, key.route, number, index)
            whole = RouteEntry(key.route, resolved.generation, number, index, match, item.rule, rank, name)
            found += [_entry(key, entry, spot) for entry in variants(whole, standing)]
    return found


def _entry(key: Served, entry: RouteEntry, spot: _Spot) -> Entry:
    if spot.against is not None:
        entry = replace(entry, rule=replaced(entry.rule, spot.against))
    message, broken = lawful(entry, lambda one: cluster_name(one, key.gateway.cluster), spot.place, spot.effect)
    if message is None:
        return Entry(entry.rule_index, entry.match_index, None, broken)
    # Envoy's name joins words by "-", so two routes can share one ("a-b" of "c", "a" of "b-c"); a key cannot.
    route = f"{key.route.kind}/{key.route.namespace}/{key.route.name}"
    unique = f"{spot.host}/{route}/{entry.rule_index}/{entry.match_index}{entry.variant}"
    at = FragmentKey(key.gateway, FragmentKind.ROUTE, unique)
    made = fragment(at, message, parent=spot.host, order=entry.order, provenance=spot.provenance, sealer=spot.sealer)
    item = (FRAGMENT, str(at), made)
    return Entry(entry.rule_index, entry.match_index, item, spot.against or broken, spot.effect.backends)


def _reachable(graph: Reader, gateway: Ref, parent: Parent) -> Parent:
    """Without the virtual hosts that Envoy would not take."""
    against = {place: host_broken(graph, Host(gateway, *place)) for place in parent.placements}
    problems = [one for one in against.values() if one is not None]
    if not problems:
        return parent
    left = tuple(
        one if one.placement is None or against[one.placement] is None else one._replace(placement=None)
        for one in parent.shared
    )
    if not any(one.placement is not None for one in left):
        return replace(parent, shared=left, problem=problems[0])
    return replace(parent, shared=left, left_out=tuple(problems))


def _unserved(graph: Reader, resolved: ResolvedRoute, used: Iterable[Used]) -> ResolvedRoute:
    """Tells of backends that Envoy would not take; their share is answered with 500, since their cluster is missing."""
    problems = [problem for one in used if (problem := backend_broken(graph, one)) is not None]
    return replace(resolved, unresolved=(*resolved.unresolved, *problems)) if problems else resolved


def _node(ref: Ref, parents: dict[int, tuple[Parent, ResolvedRoute]]) -> dict[str, Any]:
    """The public picture of a route: where it stands and what its rules do."""
    first = next(iter(parents.values()))[1]
    hosts = sorted({place.hostname for parent, _ in parents.values() for place in parent.placements})
    return {
        "route": str(ref),
        "generation": first.generation,
        "hostnames": hosts,
        "listeners": sorted({name for parent, _ in parents.values() for name in parent.listeners}),
        "rules": [
            {
                "matches": [
                    {"path": {"type": match.path_type.value, "value": match.path}, "method": match.method}
                    for match in item.matches
                ],
                "backends": [
                    {
                        "backend": f"{one.backend.ref}:{one.backend.port}" if one.backend is not None else None,
                        "weight": one.weight,
                        "problem": one.problem.message if one.problem is not None else None,
                    }
                    for one in item.rule.destinations
                ],
                "replaced": item.rule.replaced.message if item.rule.replaced is not None else None,
            }
            for item in first.rules
        ],
    }
