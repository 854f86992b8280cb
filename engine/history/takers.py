"""Which route takes the requests of a match: of several routes of a host with one match the first in order.

Routes that only change places change where requests go, though none of them is another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from engine.fields import fields
from engine.ref import Ref
from engine.update import Fragment, FragmentKind

Fragments = Mapping[str, Fragment]
Taking = tuple[Ref, str, tuple[Any, ...]]
"""A match of a host of a Gateway, as its bytes: to read all routes of a host would cost more than what differs."""
_MATCH: Final = 1
"""Route.match."""


class Taker(NamedTuple):
    """Who took a match, and who takes it: two routes, or one that is another now."""

    old: Fragment
    new: Fragment


def takers(before: Fragments, after: Fragments, gone: Fragments, come: Fragments) -> tuple[Taker, ...]:
    """Of the matches of routes that differ (`gone`, `come`) those that somebody took and takes, sorted."""
    touched = {_taking(one) for some in (gone, come) for one in some.values() if _is_read(one)}
    old, new = _first(before, touched), _first(after, touched)
    pairs = [Taker(old[one], new[one]) for one in old.keys() & new.keys()]
    return tuple(sorted(pairs, key=lambda pair: str(pair.old.key)))


def rank(route: Fragment) -> tuple[str, str]:
    """Where a route stands among those of its host."""
    return route.order, route.key.name


def _first(some: Fragments, touched: set[Taking]) -> dict[Taking, Fragment]:
    hosts = {(gateway, host) for gateway, host, _ in touched}
    found: dict[Taking, Fragment] = {}
    for one in some.values():
        if (one.key.gateway, one.parent) in hosts and _is_read(one) and (taking := _taking(one)) in touched:
            found[taking] = min(found.get(taking, one), one, key=rank)
    return found


def _is_read(one: Fragment) -> bool:
    return one.key.kind is FragmentKind.ROUTE and not one.sealed


def _taking(route: Fragment) -> Taking:
    matches = tuple(value for number, value in fields(route.payload) if number == _MATCH)
    return route.key.gateway, route.parent, matches
