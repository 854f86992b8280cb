"""How far a change reaches: which of the hosts, routes and gateways that are served become others, or go.

It counts what requests meet: a route is a match of a host, wherever its rule stands and whichever object says it. What
is shared reaches all who share it: a policy of a Gateway all of its routes, a backend all that lead there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.envoy.wire import varint
from engine.fields import fields
from engine.history.resource import resource
from engine.history.routing import facts, match
from engine.history.takers import takers
from engine.policies.features import AROUND
from engine.ref import Ref
from engine.update import Fragment, FragmentKey, FragmentKind

Fragments = Mapping[str, Fragment]
Named = tuple[Ref, str]
"""Something of a Gateway, by its name."""

_ROUTES: Final = (FragmentKind.ROUTE, FragmentKind.FILTER_CHAIN)
_BACKENDS: Final = (FragmentKind.CLUSTER, FragmentKind.ENDPOINTS)
_CHAINS: Final = 3
_METADATA: Final = 6
"""Listener: filter_chains=3, metadata=6."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Of `of` that are served before those that become others and those that go, and what comes; each sorted.

    Gateways stand there as `str(Ref)`, hosts and routes as the keys of their fragments.
    """

    of: int = 0
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Radius:
    """How far a change reaches."""

    hosts: Reach = Reach()
    routes: Reach = Reach()
    gateways: Reach = Reach()


def radius(before: Fragments, after: Fragments, gone: Fragments, come: Fragments) -> Radius:
    """Of all that is served `before` and `after`; `gone` and `come` are those that the other has not, or not so."""
    whole = _whole(before, gone, come)
    changed, removed, added = _routes(before, gone, come, whole)
    moved_on = {
        str(one.old.key)
        for one in takers(before, after, gone, come)
        if facts(resource(one.old)) != facts(resource(one.new))
    }
    # What another route takes over goes elsewhere, and is not gone.
    changed, removed = changed | moved_on, removed - moved_on
    count = sum(one.key.kind in _ROUTES for one in before.values())
    moved = {(one.key.gateway, one.parent) for one in (*_of(before, changed | removed), *_of(after, added))}
    return Radius(
        _hosts(before, after, whole | moved),
        Reach(count, *_sorted(changed, removed, added)),
        _gateways(before, after, gone, come),
    )


# -- routes -----------------------------------------------------------------------------------------------------------


def _routes(
    before: Fragments, gone: Fragments, come: Fragments, whole: set[Named]
) -> tuple[set[str], set[str], set[str]]:
    """Those that become others, those that go, those that come; by what they take, not by their names."""
    old, new = _placed(gone), _placed(come)
    there: dict[Any, list[Any]] = {}
    for place, says in new.values():
        there.setdefault(place, []).append(says)
    places = {place for place, _ in old.values()}
    removed = {key for key, (place, _) in old.items() if place not in there}
    changed = {key for key, (place, says) in old.items() if place in there and says not in there[place]}
    backends = _backends(gone, come)
    for key, one in before.items():
        if one.key.kind in _ROUTES and key not in removed and _is_within(one, whole, backends):
            changed.add(key)
    added = {key for key, (place, _) in new.items() if place not in places}
    return changed, removed, added


def _placed(some: Fragments) -> dict[str, tuple[Any, Any]]:
    """What each route takes, and what it says of that."""
    found: dict[str, tuple[Any, Any]] = {}
    for key, one in some.items():
        if one.key.kind not in _ROUTES:
            continue
        value = resource(one)
        is_read = one.key.kind is FragmentKind.ROUTE and not one.sealed
        what, says = (match(value), facts(value)) if is_read else (one.key.name, value)
        found[key] = (one.key.gateway, one.parent, what), says
    return found


def _is_within(route: Fragment, whole: set[Named], backends: Mapping[Ref, list[bytes]]) -> bool:
    """Whether it stands in what becomes otherwise as a whole, or leads to a backend that does."""
    if (route.key.gateway, route.parent) in whole:
        return True
    names = backends.get(route.key.gateway, ())
    return bool(names) and (route.sealed or any(name in route.payload for name in names))


def _backends(gone: Fragments, come: Fragments) -> dict[Ref, list[bytes]]:
    """The backends of each Gateway that become others, by the bytes by which a route names them."""
    names: dict[Ref, set[str]] = {}
    for key, one in gone.items():
        if one.key.kind in _BACKENDS and not _says_the_same(one, come.get(key)):
            names.setdefault(one.key.gateway, set()).add(one.key.name)
    return {gateway: [_text(one) for one in sorted(some)] for gateway, some in names.items()}


def _text(name: str) -> bytes:
    """A name as it stands in a message: with its length before it no other name has it for a part."""
    encoded = name.encode()
    return varint(len(encoded)) + encoded


# -- hosts ------------------------------------------------------------------------------------------------------------


def _hosts(before: Fragments, after: Fragments, moved: set[Named]) -> Reach:
    """Those that have routes: a listener has a virtual host of its own though none takes a request."""
    old, new = _served(before), _served(after)
    return Reach(len(old), *(_keys(some) for some in (old & new & moved, old - new, new - old)))


def _served(some: Fragments) -> set[Named]:
    return {(one.key.gateway, one.parent) for one in some.values() if one.key.kind is FragmentKind.ROUTE}


def _keys(hosts: Iterable[Named]) -> tuple[str, ...]:
    return tuple(sorted(str(FragmentKey(gateway, FragmentKind.VIRTUAL_HOST, name)) for gateway, name in hosts))


def _whole(before: Fragments, gone: Fragments, come: Fragments) -> set[Named]:
    """Virtual hosts that become others as a whole: by themselves, or by what stands around them."""
    heads = [one for key, one in gone.items() if key in come and not _says_the_same(one, come[key])]
    found = {(one.key.gateway, one.key.name) for one in heads if one.key.kind is FragmentKind.VIRTUAL_HOST}
    tables = {(one.key.gateway, one.key.name) for one in heads if one.key.kind is FragmentKind.ROUTE_CONFIG}
    listeners = [one for one in heads if one.key.kind is FragmentKind.LISTENER]
    for one in before.values() if listeners else ():
        if one.key.kind is FragmentKind.ROUTE_CONFIG:
            around = (each for each in listeners if each.key.gateway == one.key.gateway)
            if any(_serves_otherwise(each, come[str(each.key)], one.key.name) for each in around):
                tables.add((one.key.gateway, one.key.name))
    for one in before.values() if tables else ():
        if one.key.kind is FragmentKind.VIRTUAL_HOST and (one.key.gateway, one.parent) in tables:
            found.add((one.key.gateway, one.key.name))
    return found


def _serves_otherwise(old: Fragment, new: Fragment, table: str) -> bool:
    """Whether what a listener does before the routes of a table becomes otherwise: another chain of its may be new."""
    if old.sealed or new.sealed:
        return True
    (rest, chains), (new_rest, new_chains) = _parts(old.payload), _parts(new.payload)
    return rest != new_rest or any(_text(table) in one for one in chains if one not in new_chains)


def _parts(listener: bytes) -> tuple[list[Any], list[bytes]]:
    every = list(fields(listener))
    rest = [one for one in every if one[0] not in (_CHAINS, _METADATA)]
    return rest, [value for number, value in every if number == _CHAINS and isinstance(value, bytes)]


# -- what is compared -------------------------------------------------------------------------------------------------


def _says_the_same(one: Fragment, other: Fragment | None) -> bool:
    """Whether two of one name mean the same for requests: their metadata only names the objects behind them."""
    if other is None or one.version == other.version:
        return other is not None and one.parent == other.parent
    return one.parent == other.parent and _meant(one) == _meant(other)


def _meant(one: Fragment) -> Any:
    value = {name: part for name, part in resource(one).items() if name != "metadata"}
    if one.key.kind is FragmentKind.VIRTUAL_HOST:
        return facts(value)
    if one.key.kind is FragmentKind.ROUTE_CONFIG:
        # What filters of single routes need around them does nothing by itself.
        configs = value.get("typedPerFilterConfig") or {}
        value["typedPerFilterConfig"] = {name: part for name, part in configs.items() if name not in AROUND}
    return value


def _gateways(before: Fragments, after: Fragments, gone: Fragments, come: Fragments) -> Reach:
    old, new = ({str(one.key.gateway) for one in some.values()} for some in (before, after))
    moved = {str(one.key.gateway) for some in (gone, come) for one in some.values()}
    return Reach(len(old), *_sorted(old & new & moved, old - new, new - old))


def _of(some: Fragments, keys: Iterable[str]) -> list[Fragment]:
    return [some[key] for key in keys]


def _sorted(*some: Iterable[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(sorted(one)) for one in some)
