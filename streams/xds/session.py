"""One proxy's delta ADS stream as a state machine without I/O: requests and changes in, responses out.

What it must never do: break before make. Clusters and endpoints go before the routes that use them, and a cluster is
removed only when no route that this proxy may still hold uses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.xds.assembly import Assembly, Resource, empty_assignment
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, ORDER, ROUTES, SECRET, Request, encode_response
from streams.xds.trail import Changed

_WILDCARD = {CLUSTER, LISTENER}
_REMOVABLE = {CLUSTER, LISTENER}
"""Removals of other types are ignored by Envoy (measured): it unsubscribes instead."""
_FOLLOWING = (ENDPOINTS, SECRET, ROUTES)
"""A proxy asks for these by name, once what names them has arrived."""
_UNSURE = ""
"""The version of what a proxy may hold, or not: of a rejected response it takes an unpredictable part (measured)."""

_REMOVAL = "removal"
"""In place of a version: its removal was told and rejected, and the proxy may hold it still, or not."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A NACK: what the response held, by name and version ("removal" for none), and Envoy's words."""

    type_url: str
    resources: dict[str, str]
    error: str

    @property
    def is_removal(self) -> bool:
        """Whether the proxy was told only to let go of something, and would not."""
        return all(version == _REMOVAL for version in self.resources.values())


@dataclass(frozen=True, slots=True)
class _Flight:
    """A response that was sent and not answered."""

    versions: dict[str, str]
    removed: tuple[str, ...]
    offset: int
    clusters: dict[str, frozenset[str]]
    turn: int
    """The state of the assembly that it was made from."""

    @property
    def said(self) -> dict[str, str]:
        """What it sets and removes."""
        return self.versions | dict.fromkeys(self.removed, _REMOVAL)


@dataclass(slots=True)
class _Kind:
    """What the proxy wants and has of one type."""

    asked: bool = False
    wildcard: bool = False
    greeted: bool = False
    """Something was sent, if only that there is nothing."""
    names: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    alone: set[str] = field(default_factory=set)
    """Sent one by one: a response that held them together was rejected."""
    refused: dict[str, str] = field(default_factory=dict)
    unasked: set[str] = field(default_factory=set)
    """Of a type that proxies ask for by name: published, and not asked for (yet)."""
    flights: dict[str, _Flight] = field(default_factory=dict)

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names


class Session:
    """The state of one stream over one gateway's assembly.

    `elsewhere` is the cluster that the proxy is in, "" in the Gateway's own. While the assembly `may_be_old`, such as
    one from disk, a proxy that comes back is told nothing: it may hold more. While the session `waits`, one that has
    nothing is told nothing: it would be ready with what is not the latest.
    """

    def __init__(
        self, assembly: Assembly, elsewhere: str = "", *, may_be_old: bool = False, waits: bool = False
    ) -> None:
        self._assembly = assembly
        self._elsewhere = elsewhere
        self.may_be_old = may_be_old
        self.waits = waits
        self.came_back = False
        self._kinds = {type_url: _Kind() for type_url in ORDER}
        for type_url in _FOLLOWING:
            self._kinds[type_url].unasked.update(assembly.names(type_url))
        self._nonce = 0
        self._used: dict[str, frozenset[str]] = {}
        """RouteConfiguration -> clusters of the version that the proxy acknowledged last."""
        self.acknowledged = -1
        """The greatest offset all of whose fragments the proxy acknowledged."""

    # -- in ---------------------------------------------------------------------------------------------------------

    def changed(self, resources: Iterable[Changed]) -> None:
        """The assembly changed these."""
        for type_url, name in resources:
            kind = self._kinds[type_url]
            if kind.wants(name):
                kind.dirty.add(name)
            elif type_url in _FOLLOWING:
                kind.unasked.add(name)

    def again(self, rejection: Rejection) -> None:
        """Send once more what was rejected for a reason that is not in it, if it is still the same."""
        kind = self._kinds[rejection.type_url]
        for name, version in rejection.resources.items():
            if kind.refused.get(name) == version:
                del kind.refused[name]
                kind.dirty.add(name)

    def refuses(self, rejection: Rejection) -> bool:
        """Whether what was rejected then still stands against the proxy."""
        refused = self._kinds[rejection.type_url].refused
        return any(refused.get(name) == version for name, version in rejection.resources.items())

    def received(self, request: Request) -> Rejection | None:
        """Take a request; answers a rejection when it is a NACK. Unknown types are ignored."""
        kind = self._kinds.get(request.type_url)
        if kind is None:
            return None
        rejection = self._answered(request, kind)
        self._subscribed(request, kind)
        return rejection

    def _answered(self, request: Request, kind: _Kind) -> Rejection | None:
        flight = kind.flights.pop(request.nonce, None)
        if flight is None:
            return None
        if request.error is None:
            kind.held.update({name: at for name, at in flight.versions.items() if kind.wants(name)})
            for name in flight.removed:
                kind.held.pop(name, None)
            for name in flight.said:
                kind.refused.pop(name, None)
            kind.alone -= flight.said.keys()
            self._used.update({name: used for name, used in flight.clusters.items() if kind.wants(name)})
            for name in flight.clusters:
                self._assembly.trail.took((ROUTES, name), flight.turn)
            return None
        kind.held.update(dict.fromkeys(filter(kind.wants, flight.removed), _REMOVAL))
        if len(flight.said) > 1:
            # Which one is guilty is not said for sure: each goes again alone.
            kind.alone |= flight.said.keys()
            kind.dirty |= flight.said.keys()
            kind.held.update(dict.fromkeys(filter(kind.wants, flight.versions), _UNSURE))
            return None
        kind.refused.update({name: at for name, at in flight.said.items() if at != _REMOVAL or kind.wants(name)})
        kind.alone -= flight.said.keys()
        return Rejection(request.type_url, flight.said, request.error)

    def _subscribed(self, request: Request, kind: _Kind) -> None:
        first, kind.asked = not kind.asked, True
        kind.held.update(request.versions)
        if request.type_url == ENDPOINTS:
            # A proxy that comes back has them, but of a cluster that was just sent it waits for them again.
            for name in self._flying(CLUSTER):
                kind.held.pop(name, None)
        if request.versions:
            self.came_back = True
            # It has its first answers already, of every type.
            for other in self._kinds.values():
                other.greeted = True
        # The protocol's wildcard is a state of its own: an empty first request, or "*"; named ones do not end it.
        if "*" in request.subscribe or (first and not request.subscribe and request.type_url in _WILDCARD):
            kind.wildcard = True
            kind.dirty |= set(self._assembly.names(request.type_url)) | kind.held.keys()
        for name in request.subscribe:
            if name != "*":
                kind.names.add(name)
                kind.unasked.discard(name)
                kind.dirty.add(name)
                # It may have said so after it had let go of it. Who asks waits, until it refuses it once more.
                kind.refused.pop(name, None)
                if name not in request.versions:
                    kind.held.pop(name, None)
        for name in request.unsubscribe:
            self._unsubscribed(request.type_url, name, kind)

    def _unsubscribed(self, type_url: str, name: str, kind: _Kind) -> None:
        kind.names.discard(name)
        gone = [name]
        if name == "*":
            kind.wildcard = False
            gone = [*kind.held, *kind.dirty, *kind.refused]
        for one in gone:
            if not kind.wants(one):
                kind.held.pop(one, None)
                kind.dirty.discard(one)
                kind.refused.pop(one, None)
        if type_url in _FOLLOWING:
            kind.unasked.add(name)
        if type_url == ROUTES:
            self._used.pop(name, None)
            if name in self._assembly.names(ROUTES):
                self._dropped()

    def _dropped(self) -> None:
        """It wants routes no more that a listener of its names: it has let that listener go, and says so only thus.

        Measured: two proxies may bind one address before either listens there. The later one acknowledges the listener,
        and drops it once it has its routes. To what it has, a listener that is sent again changes nothing.
        """
        kind = self._kinds[LISTENER]
        kind.held.update(dict.fromkeys(kind.held, _UNSURE))
        kind.dirty.update(kind.held)

    # -- out --------------------------------------------------------------------------------------------------------

    def responses(self) -> list[bytes]:
        """What can be sent now, in order. Call it again after each request and change."""
        out: list[bytes] = []
        if not self._assembly.is_placed(self._elsewhere):
            return out  # It keeps what it has: endpoints as its cluster asks them are known no more.
        if self.may_be_old if self.came_back else self.waits:
            return out
        # Clusters once more at the end: their removals wait for what the other types have just settled.
        for type_url in (*ORDER, CLUSTER):
            kind = self._kinds[type_url]
            if not kind.asked:
                continue
            # Endpoints of a cluster just sent do not wait for anything: the cluster's ACK waits for them.
            while kind.dirty and (not kind.flights or type_url == ENDPOINTS):
                response = self._next(type_url, kind)
                if response is None:
                    break
                out.append(response)
            if kind.wildcard and not kind.greeted and not kind.dirty:
                # Without any answer Envoy waits 15 s for its first clusters, and serves nothing until then (measured).
                out.append(self._send(type_url, kind, [], []))
        self._settle()
        return out

    def _next(self, type_url: str, kind: _Kind) -> bytes | None:
        names: list[str] = []
        removed: list[str] = []
        for name in sorted(kind.dirty):
            if not self._sendable(type_url, name, kind):
                continue
            # One RouteConfiguration a response: a bad one takes an unpredictable part of the others with it.
            is_alone = name in kind.alone or type_url == ROUTES
            if is_alone and (names or removed):
                break
            (removed if self._resource(type_url, name) is None else names).append(name)
            if is_alone:
                break
        if not names and not removed:
            return None
        return self._send(type_url, kind, names, removed)

    def _sendable(self, type_url: str, name: str, kind: _Kind) -> bool:
        """Whether a dirty name goes into a response now; what need not be sent is no longer dirty."""
        resource = self._resource(type_url, name)
        if resource is None:
            if type_url in _REMOVABLE and name in kind.held and kind.refused.get(name) != _REMOVAL:
                return type_url != CLUSTER or not self._in_use(name)
            kind.dirty.discard(name)
            if type_url not in {
                ROUTES,
                *_REMOVABLE,
            }:  # Routes stay until it asks for them no more, with their clusters.
                kind.held.pop(name, None)
            return False
        if resource.version in (kind.held.get(name), kind.refused.get(name)):
            kind.dirty.discard(name)
            if resource.version == kind.held.get(name):
                # What it refused is no longer asked of it: should it come again, it is asked, and judged, again.
                kind.refused.pop(name, None)
                if type_url == ROUTES:
                    self._used[name] = self._assembly.clusters(name)
                    self._assembly.trail.took((ROUTES, name), self._assembly.trail.turn)
            return False
        return type_url != ROUTES or self._clusters_ready(name)

    def _resource(self, type_url: str, name: str) -> Resource | None:
        found = self._published(type_url, name)
        if found is None and type_url == ENDPOINTS and name in self._flying(CLUSTER):
            # The cluster is gone already, but the proxy waits 15 s for its endpoints, and takes no clusters until then.
            return empty_assignment(name)
        return found

    def _published(self, type_url: str, name: str) -> Resource | None:
        return self._assembly.get(type_url, name, self._elsewhere)

    def _in_use(self, cluster: str) -> bool:
        """Whether a route that the proxy holds, or is about to hold, sends requests to the cluster."""
        routes, listeners = self._kinds[ROUTES], self._kinds[LISTENER]
        # A proxy that reconnects names its clusters first; which routes it holds is not known yet.
        if not listeners.asked or (any(listeners.held.values()) and not routes.asked):
            return True
        if routes.dirty or routes.flights or listeners.dirty or listeners.flights:
            return True
        if any(name not in self._used for name in routes.held if routes.wants(name)):
            # It came back with them, and refuses the present ones: where the old ones go to is not known.
            return True
        return self._is_used(cluster)

    def _is_used(self, cluster: str) -> bool:
        return any(cluster in used for used in self._used.values())

    def _is_kept(self, cluster: str) -> bool:
        """Whether a cluster that is gone stays with the proxy for good: routes that are published go there still."""
        published = self._assembly.names(ROUTES)
        return any(cluster in self._used.get(table, ()) for table in published)

    def _clusters_ready(self, route_config: str) -> bool:
        kind = self._kinds[CLUSTER]
        if not kind.asked:
            return False
        wanted = self._assembly.clusters(route_config)
        if not wanted.isdisjoint(self._flying(CLUSTER)):
            return False
        # One that the proxy refuses as it is would be waited for in vain.
        waiting = ((name, self._assembly.get(CLUSTER, name)) for name in wanted & kind.dirty)
        return all(found is None or kind.refused.get(name) == found.version for name, found in waiting)

    def _flying(self, type_url: str) -> set[str]:
        """What was sent and not answered."""
        return {name for flight in self._kinds[type_url].flights.values() for name in flight.versions}

    def _send(self, type_url: str, kind: _Kind, names: list[str], removed: list[str]) -> bytes:
        versions: dict[str, str] = {}
        encoded: list[tuple[bytes, ...]] = []
        for name in names:
            resource = self._resource(type_url, name)
            if resource is not None:
                versions[name] = resource.version
                encoded.append(resource.encoded)
        kind.dirty.difference_update(names, removed)
        kind.greeted = True
        self._nonce += 1
        nonce = str(self._nonce)
        clusters = {name: self._assembly.clusters(name) for name in names} if type_url == ROUTES else {}
        flight = _Flight(versions, tuple(removed), self._assembly.offset, clusters, self._assembly.trail.turn)
        kind.flights[nonce] = flight
        if type_url == CLUSTER:
            self._again(versions)
        return encode_response(type_url, nonce, encoded, removed)

    def _again(self, clusters: Iterable[str]) -> None:
        """A changed cluster waits 15 s for its endpoints unless they are sent again, unchanged or not (measured)."""
        endpoints = self._kinds[ENDPOINTS]
        for name in clusters:
            if endpoints.wants(name):
                endpoints.held.pop(name, None)
                # What it refused as well: to refuse them once more ends its waiting, too.
                endpoints.refused.pop(name, None)
                endpoints.dirty.add(name)

    def _settle(self) -> None:
        """Note that the proxy has everything, if it has."""
        if self._kinds[LISTENER].asked and self._kinds[CLUSTER].asked and not any(map(self._lacks, ORDER)):
            self.acknowledged = max(self.acknowledged, self._assembly.offset)

    def _lacks(self, type_url: str) -> bool:
        """Whether something of a type is missing at the proxy, or not known to be there."""
        kind = self._kinds[type_url]
        if kind.flights:
            return True
        for name in kind.dirty:
            if self._published(type_url, name) is not None:
                return True
            if type_url in _REMOVABLE and not (type_url == CLUSTER and self._is_kept(name)):
                return True
        for name, version in kind.refused.items():
            current = self._published(type_url, name)
            if (current.version if current is not None else _REMOVAL) == version:
                return True
        return self._awaits(type_url, kind)

    def _awaits(self, type_url: str, kind: _Kind) -> bool:
        """Whether the proxy will ask for more, since it has what names it: only then can it have everything."""
        while kind.unasked:
            name = next(iter(kind.unasked))
            # Endpoints of a cluster that could not be emitted are asked for by nobody.
            if name in self._assembly.names(type_url) and (
                type_url != ENDPOINTS or self._assembly.get(CLUSTER, name) is not None
            ):
                return True
            kind.unasked.discard(name)
        return False
