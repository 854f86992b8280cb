"""What a route that takes requests puts out: its Envoy routes in every virtual host, its status, its node."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any, Final

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.attached import reachable, stands, wanted
from engine.outputs.backend import backend_broken
from engine.outputs.channels import AROUND, ATTACHED, BACKEND, CREDENTIAL, HOST, NODE, STANDING, STATUS, Host, Used
from engine.outputs.delegation import Down, offers, selecting, standing_pairs
from engine.outputs.descent import Descents, descents, is_ours, told, unreached
from engine.outputs.entries import entries, named_by, own, stood_by, used_by
from engine.outputs.lawful import without
from engine.outputs.rivals import claims, rank
from engine.ref import Ref
from engine.resolve.attachment import Parent, Served, parent_gateways, standing_at
from engine.resolve.delegation import KIND, http_parents, own_pairs
from engine.resolve.delegation import told as words
from engine.resolve.manifest import object_of, refused_from_the_start
from engine.resolve.rule import ResolvedRoute, resolved_route
from engine.resolve.values import Match, StringMatch, Verdict
from engine.status.route import accepted, refused_status, route_status

_NOTHING: Final = Descents({}, (), frozenset())


def route_outputs(graph: Reader, ref: Ref) -> Outputs:
    """Everything of one route but what comes to it from others."""
    items: list[tuple[str, str, Any]] = []
    counts: dict[tuple[str, Hashable], None] = {}
    claimed: dict[tuple[str, Hashable, Any], None] = {}
    parents: dict[int, tuple[Parent, ResolvedRoute]] = {}
    for gateway in graph.get(parent_gateways, ref):
        found = _attached(graph, Served(gateway, ref))
        if found is None:
            continue
        output, attached, resolved = found
        items += output.items
        counts |= dict.fromkeys(output.counts)
        claimed |= dict.fromkeys(output.claims)
        parents |= {parent.index: (parent, resolved) for parent in attached}
    below = _NOTHING
    if ref.kind == KIND:
        counts |= dict.fromkeys(selecting(graph, ref))
        below = descents(graph, ref)
    items += _told(graph, ref, parents, below)
    return Outputs(tuple(items), tuple(counts), tuple(claimed))


def _attached(graph: Reader, key: Served) -> tuple[Outputs, list[Parent], ResolvedRoute] | None:
    """What a route is at one Gateway that its parentRefs name."""
    gateway = key.gateway
    resolved = graph.get(resolved_route, key)
    if resolved is None:
        return None
    mine = rank(resolved.created, key.route)
    named = wanted(graph, key, mine)
    claimed: dict[tuple[str, Hashable, Any], None] = {
        one: None for parent in named for one in claims(key, parent, mine)
    }
    # Wanted though Envoy would not take it: else nobody would know any more why it is not served.
    counts: dict[tuple[str, Hashable], None] = {
        (HOST, Host(gateway, *place)): None for parent in named for place in parent.placements
    }
    attached = [reachable(graph, gateway, parent) for parent in named]
    places = stands(graph, gateway, attached)
    made = own_pairs(resolved)
    if any(parent.problem is None for parent in attached):
        offered = offers(graph, key, Down(resolved, made))
        claimed |= dict.fromkeys(offered.claims)
        counts |= dict.fromkeys(offered.counts)
        made = standing_pairs(made, offered.failing)
        resolved = replace(resolved, unresolved=(*resolved.unresolved, *offered.problems))
    emitted = entries(graph, own(key, resolved), places, made)
    resolved = without(resolved, emitted)
    if places:
        # A rule that fails at one listener is served at another.
        whole = {(one.rule, one.match) for one in emitted if one.broken is None}
        served = used_by(pair for pair in made if (pair.rule, pair.position) in whole)
        used = dict.fromkeys(Used(gateway, one) for one in served)
        used |= {Used(gateway, backend): None for one in emitted for backend in one.backends}
        counts |= {(BACKEND, one): None for one in used}
        counts |= {(AROUND, around): None for one in emitted for around in one.around}
        counts |= dict.fromkeys(named_by(gateway, (one.rule for one in resolved.rules)))
        counts |= {(CREDENTIAL, named): None for one in emitted for named in one.credentials}
        resolved = _unserved(graph, resolved, used)
    counts |= {(ATTACHED, (gateway, name)): None for name in accepted(attached, resolved.verdict)}
    counts |= {(STANDING, one): None for one in stood_by(graph, key, resolved, places)}
    items = tuple(one.item for one in emitted if one.item is not None)
    return Outputs(items, tuple(counts), tuple(claimed)), attached, resolved


def _told(
    graph: Reader, ref: Ref, parents: dict[int, tuple[Parent, ResolvedRoute]], below: Descents
) -> list[tuple[str, str, Any]]:
    """Status and node."""
    is_attached = any(parent.problem is None for parent, _ in parents.values())
    given = told(graph, ref, below, is_attached=is_attached)
    named = {at: (parent, one.verdict) for at, (parent, one) in parents.items()}
    if ref.kind == KIND:
        named |= {at: (one, Verdict()) for at, one in unreached(graph, ref, below).items()}
        for at, parent in http_parents(ref, object_of(graph, ref)):
            if parent in given:
                named[at] = given.pop(parent)
    items: list[tuple[str, str, Any]] = []
    if named or given:
        items.append((STATUS, str(ref), document(route_status(graph, ref, named, given))))
    elif (never := refused_from_the_start(graph, ref)) is not None:
        ours = [at for at, one in http_parents(ref, never.written) if is_ours(graph, one)] if ref.kind == KIND else []
        refused = refused_status(graph, ref, never, ours)
        items += [(STATUS, str(ref), document(refused))] if refused is not None else []
    first = next(iter(parents.values()))[1] if parents else below.resolved(graph, ref)
    if first is not None:
        node = _node(ref, first, [one for one, _ in parents.values()], below.hostnames(graph))
        node["gateways"] = standing_at(graph, ref)
        if below.parents:
            node["parents"] = [str(one) for one in below.parents]
        items.append((NODE, f"route/{ref}", document(node)))
    return items


def _unserved(graph: Reader, resolved: ResolvedRoute, used: Iterable[Used]) -> ResolvedRoute:
    """Tells of backends that Envoy would not take; their share is answered with 500, since their cluster is missing."""
    problems = [problem for one in used if (problem := backend_broken(graph, one)) is not None]
    return replace(resolved, unresolved=(*resolved.unresolved, *problems)) if problems else resolved


def _node(ref: Ref, first: ResolvedRoute, parents: list[Parent], hosts: set[str]) -> dict[str, Any]:
    """The public picture of a route: where it stands and what its rules do."""
    return {
        "route": str(ref),
        "generation": first.generation,
        "hostnames": sorted(hosts | {place.hostname for parent in parents for place in parent.placements}),
        "listeners": sorted({name for parent in parents for name in parent.listeners}),
        "rules": [
            {
                "matches": [_match(one) for one in item.matches],
                "backends": [
                    {
                        "backend": f"{one.backend.ref}:{one.backend.port}" if one.backend is not None else None,
                        "weight": one.weight,
                        "problem": one.problem.message if one.problem is not None else None,
                    }
                    for one in item.rule.destinations
                ],
                **({"delegates": [words(one) for one in item.rule.delegates]} if item.rule.delegates else {}),
                "replaced": item.rule.replaced.message if item.rule.replaced is not None else None,
            }
            for item in first.rules
        ],
    }


def _match(match: Match) -> dict[str, Any]:
    """What a match asks for; of headers and query parameters only where it does."""
    found: dict[str, Any] = {"path": {"type": match.path_type.value, "value": match.path}, "method": match.method}
    for name, some in (("headers", match.headers), ("queryParams", match.query)):
        if some:
            found[name] = [_string(one) for one in sorted(some, key=lambda one: one.name)]
    return found


def _string(one: StringMatch) -> dict[str, str]:
    return {"name": one.name, "value": one.value, **({"type": "RegularExpression"} if one.regex else {})}
