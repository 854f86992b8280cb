"""Listeners of a Gateway as routes see them: protocol, hostname, who may attach, and what stands against them.

It must not answer anything that changes with a certificate, an endpoint or a generation: routes read it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.gateway import Entry, entries
from engine.resolve.manifest import GATEWAY_API, REMOTE_GATEWAY, items, mapping, transport
from engine.resolve.namespace import Selector, selector
from engine.resolve.port import clash
from engine.resolve.route_kinds import SERVED
from engine.resolve.settings import settings
from engine.resolve.values import Problem

*_FIRST, _LAST = SERVED
_NAMED = f"{', '.join(_FIRST)} or {_LAST}"
PROTOCOLS: Final = frozenset({*SERVED, REMOTE_GATEWAY})
"""Those that are served."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener. `refused` is a reason of Accepted=False, `conflict` of Conflicted=True, `bad_kinds` of kinds.

    `name` is its own among all of its Gateway; `source` is the Gateway or ListenerSet that it stands in.
    """

    name: str
    source: Ref
    port: int
    protocol: str
    hostname: str
    admits: str
    selector: Selector | None
    kinds: tuple[tuple[str, str], ...]
    bad_kinds: Problem | None = None
    refused: Problem | None = None
    conflict: Problem | None = None
    passthrough: bool = False

    @property
    def serves(self) -> bool:
        """Whether it takes part in serving its port."""
        return self.refused is None and self.conflict is None

    @property
    def section(self) -> str:
        """Its name as written."""
        return self.name.rpartition("~")[2]

    @property
    def transport(self) -> str:
        """What carries its protocol."""
        return transport(self.protocol)

    @property
    def requests(self) -> bool:
        """Whether it takes requests one by one, or else connections or datagrams whole."""
        return self.protocol in ("HTTP", "HTTPS")

    @property
    def tls(self) -> bool:
        """Whether it ends TLS."""
        return ends_tls(self.protocol, passthrough=self.passthrough)

    @property
    def route_config(self) -> str:
        """Name of the RouteConfiguration that serves it (kgateway's names); its own where no request is looked at."""
        return f"listener~{self.port}" if self.protocol == "HTTP" else self.name


def listeners(graph: Reader, gateway: Ref) -> tuple[Listener, ...] | None:
    """The Gateway's listeners in order, those of its ListenerSets behind, conflicts marked; None when it is not ours.

    What comes first by precedence stays; what cannot be told apart of what is left within one object is refused there.
    """
    found = graph.get(entries, gateway)
    if found is None:
        return None
    made = [_listener(one) for one in found]
    made = [
        one if one.refused else replace(one, refused=_reserved(graph, one) or _port_clash(graph, gateway, one))
        for one in made
    ]
    result: list[Listener] = []
    for _, group in groupby(made, lambda one: one.source):
        told = [replace(one, conflict=conflict(one, serving(result))) for one in group]
        left = serving(told)
        result += [replace(one, conflict=one.conflict or conflict(one, left)) for one in told]
    return tuple(result)


def serving(every: Iterable[Listener]) -> list[Listener]:
    """Those that take part in serving their port."""
    return [one for one in every if one.serves]


def _listener(entry: Entry) -> Listener:
    item = entry.item
    protocol = str(item.get("protocol", ""))
    allowed = mapping(item.get("allowedRoutes"))
    namespaces = mapping(allowed.get("namespaces"))
    admits = str(namespaces.get("from", "Same"))
    kinds, bad = _kinds(protocol, items(allowed.get("kinds")))
    return Listener(
        name=entry.name,
        source=entry.source,
        port=int(item.get("port", 0)),
        protocol=protocol,
        hostname=str(item.get("hostname") or "").lower(),
        admits=admits,
        selector=selector(mapping(namespaces.get("selector"))) if admits == "Selector" else None,
        kinds=kinds,
        bad_kinds=bad,
        refused=_refusal(protocol),
        passthrough=is_passthrough(item),
    )


def ends_tls(protocol: str, *, passthrough: bool) -> bool:
    """Whether a listener ends TLS: with HTTPS always, with TLS unless it passes it through."""
    return protocol == "HTTPS" or (protocol == "TLS" and not passthrough)


def is_passthrough(listener: Json) -> bool:
    """Whether a listener is told to leave TLS to its backends."""
    return bool(mapping(listener.get("tls")).get("mode") == "Passthrough")


def _kinds(protocol: str, wanted: list[Json]) -> tuple[tuple[tuple[str, str], ...], Problem | None]:
    supported = SERVED.get(protocol, ())
    if not wanted:
        return supported, None
    named = [(str(kind.get("group", GATEWAY_API)), str(kind.get("kind", ""))) for kind in wanted]
    bad = sorted({kind for kind in named if kind not in supported})
    problem = None
    if bad:
        listed = ", ".join("/".join(kind) for kind in bad)
        problem = Problem(
            "InvalidRouteKinds", f"allowedRoutes.kinds names {listed}, which a {protocol} listener does not serve"
        )
    return tuple(sorted(set(named) & set(supported))), problem


def _refusal(protocol: str) -> Problem | None:
    if protocol in PROTOCOLS:
        return None
    return Problem("UnsupportedProtocol", f"protocol {protocol} is not served: use {_NAMED}")


_FAMILY = {"HTTPS": "TLS"}
"""Protocols that can share a port with others than themselves: those that are told apart by SNI."""


def conflict(listener: Listener, every: Iterable[Listener]) -> Problem | None:
    """Which of the others a listener cannot be told apart from; all of them are refused (GatewaySpec.listeners)."""
    if listener.refused is not None:
        return None
    mine = _FAMILY.get(listener.protocol, listener.protocol)
    others = [
        other
        for other in every
        if (other.transport, other.port) == (listener.transport, listener.port)
        and other.name != listener.name
        and other.refused is None
    ]
    for other in others:
        if _FAMILY.get(other.protocol, other.protocol) != mine:
            text = f"{_told(listener, other)} wants port {listener.port} for {other.protocol}: use another port"
            return Problem("ProtocolConflict", text)
    for other in others:
        if other.hostname == listener.hostname:
            name = listener.hostname or "(any)"
            text = f"{_told(listener, other)} has hostname {name} on port {listener.port} too: use another hostname"
            return Problem("HostnameConflict", text)
    return None


def _told(listener: Listener, other: Listener) -> str:
    """The other one; of another object than the listener's own only that there is one (ListenerSetSpec.listeners)."""
    return f"listener {other.section}" if other.source == listener.source else f"a listener of the {other.source.kind}"


def _reserved(graph: Reader, listener: Listener) -> Problem | None:
    if listener.transport != "TCP" or listener.port not in settings(graph).reserved_ports:
        return None
    return Problem("PortUnavailable", f"port {listener.port} is the proxies' own: use another port")


def _port_clash(graph: Reader, gateway: Ref, listener: Listener) -> Problem | None:
    return clash(graph, gateway, (listener.transport, listener.port)) if settings(graph).shared_address else None
