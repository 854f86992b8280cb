"""Envoy routes of an HTTPRoute or a GRPCRoute in a virtual host, one for each match, with what policies do to it.

It knows no status.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from engine.envoy.effect import Effect
from engine.envoy.fragment import Provenance, fragment
from engine.envoy.names import cluster_name, route_name, virtual_host_name
from engine.envoy.route import Place, variants
from engine.graph.reader import Reader
from engine.outputs.backend import generation
from engine.outputs.channels import EXTENDED, FRAGMENT, Around, Stood
from engine.outputs.lawful import Entry, lawful, replaced
from engine.outputs.policies import (
    TRAFFIC,
    At,
    Inherited,
    guarding,
    guards,
    is_switched_off,
    of_rule,
    with_those_above,
)
from engine.outputs.traffic_policy import Below, stood, stood_among
from engine.ref import Ref
from engine.resolve.attachment import Placement, Served
from engine.resolve.certificate import SEALER
from engine.resolve.delegation import Pair
from engine.resolve.policy import Aim, Block, merged, over
from engine.resolve.precedence import order, weighed
from engine.resolve.rule import ResolvedRoute
from engine.resolve.rule_extension import Named
from engine.resolve.values import BackendKey, Problem, RouteEntry, Rule
from engine.resolve.way import Way
from engine.seal import Sealer
from engine.update import FragmentKey, FragmentKind

_LAST = "~"
"""Behind every time of creation."""


class Stand(NamedTuple):
    """A virtual host that a route stands in, and its listener's port."""

    place: Placement
    port: int


class Origin(NamedTuple):
    """Whose matches they are: the route as it is served, and how requests come to it, None for straight."""

    key: Served
    resolved: ResolvedRoute
    provenance: Provenance
    way: Way | None = None


def own(key: Served, resolved: ResolvedRoute) -> Origin:
    """Of a route that is attached itself."""
    return Origin(key, resolved, ((key.route, resolved.generation),))


class _Spot(NamedTuple):
    """Where a rule stands: virtual host, and what policies do there, or why they do not let anything by."""

    host: str
    place: Place
    effect: Effect
    against: Problem | None
    provenance: Provenance
    sealer: Sealer | None
    around: tuple[Around, ...]


def entries(graph: Reader, origin: Origin, stands: Iterable[Stand], pairs: Iterable[Pair]) -> list[Entry]:
    """The Envoy routes of matches, in each of the virtual hosts."""
    every = tuple(pairs)
    found: list[Entry] = []
    for stand in stands:
        spots: dict[tuple[Block, ...], _Spot] = {}
        for pair in every:
            if pair.blocks not in spots:
                spots[pair.blocks] = _spot(graph, origin, stand, pair.blocks)
            found += _entries(origin, spots[pair.blocks], pair)
    return found


def _spot(graph: Reader, origin: Origin, stand: Stand, blocks: tuple[Block, ...]) -> _Spot:
    gateway, place = origin.key.gateway, stand.place
    effect, against = of_rule(graph, At(gateway, place.listener), blocks)
    sources = tuple((one, graph.get(generation, one)) for one in effect.sources)
    host = virtual_host_name(place.route_config, place.hostname)
    standing = Place(stand.port, place.tls, place.hostname)
    sealer = graph.fact(SEALER) if effect.sealed else None
    around = tuple(Around(gateway, place.route_config, name) for name in effect.around)
    return _Spot(host, standing, effect, against, (*origin.provenance, *sources), sealer, around)


def _entries(origin: Origin, spot: _Spot, pair: Pair) -> list[Entry]:
    key, resolved = origin.key, origin.resolved
    name = f"{spot.host}-{route_name(key.route, pair.rule, pair.position, pair.does.name)}"
    created = _LAST if pair.is_last else resolved.created
    rank = weighed(order(pair.match, created, key.route, pair.rule, pair.position), resolved.weight)
    whole = RouteEntry(key.route, resolved.generation, pair.rule, pair.position, pair.match, pair.does, rank, name)
    suffix = _via(origin.way, pair)
    spot = spot._replace(provenance=tuple(dict.fromkeys((*spot.provenance, *pair.does.sources))))
    return [_entry(key, entry, spot, suffix) for entry in variants(whole, spot.place)]


def _entry(key: Served, entry: RouteEntry, spot: _Spot, suffix: str) -> Entry:
    if spot.against is not None:
        entry = replace(entry, rule=replaced(entry.rule, spot.against))
    message, broken = lawful(entry, lambda one: cluster_name(one, key.gateway.cluster), spot.place, spot.effect)
    if message is None:
        return Entry(entry.rule_index, entry.match_index, None, broken)
    # Envoy's name joins words by "-", so two routes can share one ("a-b" of "c", "a" of "b-c"); a key cannot.
    route = f"{key.route.kind}/{key.route.namespace}/{key.route.name}"
    unique = f"{spot.host}/{route}/{entry.rule_index}/{entry.match_index}{entry.variant}{suffix}"
    at = FragmentKey(key.gateway, FragmentKind.ROUTE, unique)
    made = fragment(at, message, parent=spot.host, order=entry.order, provenance=spot.provenance, sealer=spot.sealer)
    item = (FRAGMENT, str(at), made)
    asked, named = spot.effect.backends, spot.effect.credentials
    return Entry(entry.rule_index, entry.match_index, item, spot.against or broken, asked, spot.around, named)


def stood_by(
    graph: Reader, key: Served, resolved: ResolvedRoute, stands: Iterable[Stand], above: Sequence[Inherited] = ()
) -> Iterable[Stood]:
    """What each policy that stands at the route, or at a rule of it, has there; `above` are rules that delegate."""
    if not any(one.blocks or one.named for one in resolved.rules):
        return ()
    aims = [Aim(key.gateway, TRAFFIC, key.route, name) for name in ("", *(one.rule.name for one in resolved.rules))]
    named = dict.fromkeys(one.named for one in resolved.rules if one.named)
    found: dict[Stood, None] = {}
    for outer in _guards(graph, key.gateway, resolved, stands, above):
        found |= dict.fromkeys(one for aim in dict.fromkeys(aims) for one in graph.get(stood, Below(aim, outer)))
        for some in named:
            there = merged(graph, key.gateway, some)
            found |= dict.fromkeys(stood_among(graph, key.gateway, some, there, outer))
    return found


def _guards(
    graph: Reader, gateway: Ref, resolved: ResolvedRoute, stands: Iterable[Stand], above: Sequence[Inherited]
) -> Iterable[tuple[Block, ...]]:
    """What guards the route at each place where it does otherwise; read only where a part of it is switched off."""
    parts = dict.fromkeys(part for one in resolved.rules for block in one.blocks for part in block.parts)
    if not any(is_switched_off(graph, gateway, one) for one in parts):
        return [()]
    nearer = guards(graph, gateway, with_those_above(graph, gateway, above, ()))
    listeners = dict.fromkeys(one.place.listener for one in stands)
    return dict.fromkeys(over(graph.get(guarding, At(gateway, one)), nearer) for one in listeners) or [()]


def _via(way: Way | None, pair: Pair) -> str:
    """The rules that delegate, from the nearest on, each with the match that lets it through."""
    steps = zip(way.steps, pair.at, strict=True) if way is not None else ()
    told = [f"/via/{one.route.namespace}/{one.route.name}/{one.rule}/{at}" for one, at in steps]
    return "".join(reversed(told))


def backends(rule: Rule) -> tuple[BackendKey, ...]:
    """The backends that a rule sends requests to."""
    if rule.replaced is not None or rule.redirect is not None or rule.direct is not None or leaves_all(rule):
        return ()
    asked = [one for one in rule.destinations if one.problem is None and one.weight and one.redirect is None]
    mirrors = [*rule.mirrors, *(mirror for one in asked for mirror in one.mirrors)]
    found = [one.backend for one in asked if one.backend is not None]
    return tuple(dict.fromkeys([*found, *(one.backend for one in mirrors)]))


def leaves_all(rule: Rule) -> bool:
    """Whether all of a rule's requests are delegated: nothing of it stands itself."""
    return bool(rule.delegates) and not rule.destinations


def named_by(gateway: Ref, rules: Iterable[Rule]) -> list[tuple[str, Named]]:
    """Counts of the objects that rules name by ExtensionRef."""
    return [(EXTENDED, Named(gateway, one)) for one in dict.fromkeys(ref for rule in rules for ref, _ in rule.sources)]


def used_by(pairs: Iterable[Pair]) -> tuple[BackendKey, ...]:
    """The backends that matches send requests to."""
    return tuple(dict.fromkeys(one for pair in pairs for one in backends(pair.does)))
