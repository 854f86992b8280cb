"""Attachment: which listeners a route's parentRefs reach, and the virtual hosts that it stands in there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.hostname import intersection, owner
from engine.resolve.listener import Listener, listeners
from engine.resolve.manifest import GATEWAY_API, gateway_ref, items, object_of, served_object, spec_of, texts
from engine.resolve.namespace import Selected, selected
from engine.resolve.values import Problem


class Placement(NamedTuple):
    """A virtual host that a route stands in: RouteConfiguration and hostname ("*" for any)."""

    route_config: str
    hostname: str
    tls: bool


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
    """What became of one parentRef of a Gateway of ours."""

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


def parent_gateway(route: Ref, parent: Json) -> Ref | None:
    """The Gateway that a parentRef names; None when it names another kind."""
    if parent.get("group", GATEWAY_API) != GATEWAY_API or parent.get("kind", "Gateway") != "Gateway":
        return None
    return gateway_ref(route.cluster, str(parent.get("namespace") or route.namespace), str(parent.get("name", "")))


def parent_gateways(graph: Reader, route: Ref) -> tuple[Ref, ...]:
    """The Gateways of ours that a route names, sorted."""
    named = {parent_gateway(route, parent) for parent in items(spec_of(object_of(graph, route)).get("parentRefs"))}
    known = (gateway for gateway in named if gateway is not None and graph.get(listeners, gateway) is not None)
    return tuple(sorted(known))


def attachments(graph: Reader, key: Served) -> tuple[Parent, ...]:
    """What became of the parentRefs of a route that name one Gateway."""
    found = graph.get(listeners, key.gateway)
    object_ = served_object(graph, key.gateway, key.route)
    if found is None or object_ is None:
        return ()
    spec = spec_of(object_)
    hostnames = tuple(hostname.lower() for hostname in texts(spec.get("hostnames")))
    return tuple(
        _parent(graph, key, index, _Wanted(parent, found, hostnames))
        for index, parent in enumerate(items(spec.get("parentRefs")))
        if parent_gateway(key.route, parent) == key.gateway
    )


class _Wanted(NamedTuple):
    parent: Json
    listeners: tuple[Listener, ...]
    hostnames: tuple[str, ...]


def _parent(graph: Reader, key: Served, index: int, wanted: _Wanted) -> Parent:
    section, port = wanted.parent.get("sectionName"), wanted.parent.get("port")
    gateway = f"Gateway {key.gateway.namespace}/{key.gateway.name}"
    named = [item for item in wanted.listeners if section in (None, "", item.name) and port in (None, item.port)]
    if not named:
        names = ", ".join(f"{item.name} (port {item.port})" for item in wanted.listeners)
        return Parent(index, Problem("NoMatchingParent", f"{gateway} has no such listener; it has: {names}"))
    allowed = [item for item in named if (GATEWAY_API, key.route.kind) in item.kinds and _admits(graph, item, key)]
    if not allowed:
        text = (
            f"no listener of {gateway} admits {_article(key.route.kind)} of namespace {key.route.namespace}: see its "
            "allowedRoutes.kinds and allowedRoutes.namespaces"
        )
        return Parent(index, Problem("NotAllowedByListeners", text))
    shared = [one for item in allowed for one in _shared(item, wanted)]
    if not shared:
        theirs = ", ".join(sorted({item.hostname for item in allowed}))
        text = f"no hostname of the route ({', '.join(wanted.hostnames)}) is within those of {gateway} ({theirs})"
        return Parent(index, Problem("NoMatchingListenerHostname", text))
    return Parent(index, None, tuple(shared))


def _article(kind: str) -> str:
    return f"an {kind}" if kind.startswith("H") else f"a {kind}"


def _admits(graph: Reader, listener: Listener, key: Served) -> bool:
    match listener.admits:
        case "All":
            return True
        case "Same":
            return key.route.namespace == key.gateway.namespace
        case "Selector":
            chosen = Selected(listener.selector or (), key.gateway.cluster, key.route.namespace)
            return graph.get(selected, chosen)
        case _:
            return False


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
    return Placement(listener.route_config, hostname, listener.tls)
