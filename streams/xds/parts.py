"""Which fragments a resource is made of, as it is served; it changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from engine.ref import parse_ref
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.xds.assembly import Assembly, whose
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET
from streams.xds.trail import Changed

_WHOLE: Final[Mapping[FragmentKind, str]] = {
    FragmentKind.CLUSTER: CLUSTER,
    FragmentKind.ENDPOINTS: ENDPOINTS,
    FragmentKind.SECRET: SECRET,
    FragmentKind.LISTENER: LISTENER,
    FragmentKind.ROUTE_CONFIG: ROUTES,
}


def parts(assembly: Assembly, resource: Changed) -> list[Fragment]:
    """All of them, in the order in which they changed."""
    return _served(assembly, resource, assembly.fragments)


def untried(assembly: Assembly, resource: Changed) -> list[Fragment]:
    """Those that changed since a proxy took the resource, in that order; none also when that is not known."""
    return _served(assembly, resource, assembly.trail.since(resource) or ())


def head(assembly: Assembly, gateway: str, table: str) -> list[Fragment]:
    """A RouteConfiguration's own bytes: one fragment, or none."""
    found = assembly.served(FragmentKey(parse_ref(gateway), FragmentKind.ROUTE_CONFIG, table))
    return [found] if found is not None else []


def _served(assembly: Assembly, resource: Changed, keys: Iterable[FragmentKey]) -> list[Fragment]:
    there = map(assembly.served, keys)
    return [one for one in there if one is not None and _stands_in(assembly, one) == resource]


def _stands_in(assembly: Assembly, one: Fragment) -> Changed | None:
    match one.key.kind:
        case FragmentKind.FILTER_CHAIN:
            return LISTENER, one.parent
        case FragmentKind.VIRTUAL_HOST:
            return ROUTES, one.parent
        case FragmentKind.ROUTE:
            table = assembly.table_of(one.parent)
            return (ROUTES, table) if table is not None else None
        case kind:
            return _WHOLE[kind], whose(_WHOLE[kind], one.key.name)[0]
