"""Attachment: which listeners a route's parentRefs reach, and the virtual hosts that it stands in there."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.gateway import gateway_of_set, named_gateway
from engine.resolve.held import unnamed
from engine.resolve.hostname import intersection, owner
from engine.resolve.listener import Listener, listeners
from engine.resolve.manifest import GATEWAY_API, items, object_of, served_object, spec_of, texts
from engine.resolve.namespace import admitted
from engine.resolve.values import Problem


class Placement(NamedTuple):
    """A virtual host that a route stands in: RouteConfiguration and hostname ("*" for any), and whose it is."""

    route_config: str
    hostname: str
    tls: bool
    listener: str


class Served(NamedTuple):
    """Key of `attachments`: a route as one Gateway is served it."""

    gateway: Ref
    route: Ref


class Shared(NamedTuple):
    """A hostname ("*" for any) that a route has in common with a listener; `placement` None where others serve it."""

    listener: str
    hostname: str
    placement: Placement | None


@dataclass(frozen=True, slots=True)
class Parent:
    """What became of one parentRef of a Gateway of ours.

    `index` is its place in the route as it is written now; below 0 when only the revision that is served names it.
    """

    index: int
    problem: Problem | None = None
    shared: tuple[Shared, ...] = ()
    left_out: tuple[Problem, ...] = ()
    """Of virtual hosts that it stands in and that are not served, while others are."""

    @property
    def listeners(self) -> tuple[str, ...]:
        """Those it attached to."""
        return tuple(dict.fromkeys(one.listener for one in self.shared))

    @property
    def placements(self) -> tuple[Placement, ...]:
        """The virtual hosts it stands in, sorted."""
        return tuple(sorted({one.placement for one in self.shared if one.placement is not None}))


def parent_source(route: Ref, parent: Json) -> Ref | None:
    """The Gateway or ListenerSet that a parentRef names; None when it names another kind."""
    if parent.get("group", GATEWAY_API) == GATEWAY_API and parent.get("kind") == "ListenerSet":
        namespace = str(parent.get("namespace") or route.namespace)
        return Ref(route.cluster, GATEWAY_API, "ListenerSet", namespace, str(parent.get("name", "")))
    return named_gateway(route, parent)


def parent_gateway(graph: Reader, route: Ref, parent: Json) -> Ref | None:
    """The Gateway that a parentRef names, itself or by a ListenerSet; None when it names another kind."""
    source = parent_source(route, parent)
    return graph.get(gateway_of_set, source) if source is not None and source.kind == "ListenerSet" else source


def parent_gateways(graph: Reader, route: Ref) -> tuple[Ref, ...]:
    """The Gateways of ours that a route names, sorted."""
    parents = items(spec_of(object_of(graph, route)).get("parentRefs"))
    named = {parent_gateway(graph, route, parent) for parent in parents}
    known = (gateway for gateway in named if gateway is not None and graph.get(listeners, gateway) is not None)
    return tuple(sorted(known))


def standing_at(graph: Reader, route: Ref) -> list[str]:
    """The Gateways that a route is attached to, sorted, for its node."""
    named = graph.get(parent_gateways, route)
    return [str(one) for one in named if any(parent.shared for parent in graph.get(attachments, Served(one, route)))]


def attachments(graph: Reader, key: Served) -> tuple[Parent, ...]:
    """What became of the parentRefs of a route that name one Gateway, in the revision that it is served."""
    found = graph.get(listeners, key.gateway)
    object_ = served_object(graph, key.gateway, key.route)
    if found is None or object_ is None:
        return ()
    spec = spec_of(object_)
    hostnames = tuple(hostname.lower() for hostname in texts(spec.get("hostnames")))
    named = [
        (number, parent)
        for number, parent in enumerate(items(spec.get("parentRefs")))
        if parent_gateway(graph, key.route, parent) == key.gateway
    ]
    written = object_of(graph, key.route)
    places, more = ([number for number, _ in named], []) if written is object_ else _places(graph, key, named)
    problem = unnamed(graph, key.gateway, key.route) if more else None
    return (
        *(
            _parent(graph, key, place, _Wanted(parent, found, hostnames))
            for place, (_, parent) in zip(places, named, strict=True)
        ),
        *(Parent(place, problem) for place in more),
    )


def _places(graph: Reader, key: Served, named: list[tuple[int, Json]]) -> tuple[list[int], list[int]]:
    """`Parent.index` of each parentRef that the served revision names, and of those that only the present one names."""
    left: dict[Hashable, list[int]] = {}
    for index, parent in enumerate(items(spec_of(object_of(graph, key.route)).get("parentRefs"))):
        if parent_gateway(graph, key.route, parent) == key.gateway:
            left.setdefault(_same(key.route, parent), []).append(index)
    places = []
    for number, parent in named:
        same = left.get(_same(key.route, parent))
        places.append(same.pop(0) if same else ~number)
    return places, [index for same in left.values() for index in same]


def _same(route: Ref, parent: Json) -> Hashable:
    """What two parentRefs that mean the same have in common, however much of it is left to defaults."""
    return parent_source(route, parent), parent.get("sectionName"), parent.get("port")


class _Wanted(NamedTuple):
    parent: Json
    listeners: tuple[Listener, ...]
    hostnames: tuple[str, ...]


def _parent(graph: Reader, key: Served, index: int, wanted: _Wanted) -> Parent:
    section, port = wanted.parent.get("sectionName"), wanted.parent.get("port")
    source = parent_source(key.route, wanted.parent) or key.gateway
    gateway = f"{source.kind} {source.namespace}/{source.name}"
    theirs = [item for item in wanted.listeners if item.source == source]
    named = [item for item in theirs if section in (None, "", item.section) and port in (None, item.port)]
    if not named:
        names = ", ".join(f"{item.section} (port {item.port})" for item in theirs)
        text = f"{gateway} has no such listener; it has: {names}"
        if not theirs:
            text = f"{gateway} is not let in by its Gateway: see its status"
        return Parent(index, Problem("NoMatchingParent", text))
    allowed = [
        item for item in named if (GATEWAY_API, key.route.kind) in item.kinds and _admits(graph, item, key.route)
    ]
    if not allowed:
        text = (
            f"no listener of {gateway} admits {_article(key.route.kind)} of namespace {key.route.namespace}: see its "
            "allowedRoutes.kinds and allowedRoutes.namespaces"
        )
        return Parent(index, Problem("NotAllowedByListeners", text))
    shared = [one for item in allowed for one in _shared(item, wanted)]
    if not shared:
        hostnames = ", ".join(sorted({item.hostname for item in allowed}))
        text = f"no hostname of the route ({', '.join(wanted.hostnames)}) is within those of {gateway} ({hostnames})"
        return Parent(index, Problem("NoMatchingListenerHostname", text))
    return Parent(index, None, tuple(shared))


def _article(kind: str) -> str:
    return f"an {kind}" if kind.startswith("H") else f"a {kind}"


def _admits(graph: Reader, listener: Listener, route: Ref) -> bool:
    return admitted(graph, listener.admits, listener.selector or (), listener.source, route.namespace)


def _shared(listener: Listener, wanted: _Wanted) -> list[Shared]:
    both = [intersection(listener.hostname, hostname) for hostname in wanted.hostnames]
    hostnames = [one for one in both if one is not None] if wanted.hostnames else [listener.hostname or "*"]
    place = (listener.transport, listener.port)
    patterns = [one.hostname for one in wanted.listeners if one.serves and (one.transport, one.port) == place]
    return [Shared(listener.name, one, _placement(listener, one, patterns)) for one in dict.fromkeys(hostnames)]


def _placement(listener: Listener, hostname: str, patterns: list[str]) -> Placement | None:
    """Only what this listener owns on its port: a more specific listener hides it (listener isolation)."""
    if not listener.serves or owner("" if hostname == "*" else hostname, patterns) != listener.hostname:
        return None
    return Placement(listener.route_config, hostname, listener.tls, listener.name)
