"""Assembles a gateway's fragments into Envoy resources; it encodes nothing, it splices.

A change costs what changed: virtual hosts stand in buckets whose joined bytes and digests are kept.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from engine.envoy.names import placed_name
from engine.envoy.wire import frame, varint
from engine.placement import place_of, placed
from engine.seal import Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.xds.admission import clear
from streams.xds.messages import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ORDER,
    ROUTES,
    SECRET,
    clusters_of_route,
    encode_resource,
)
from streams.xds.trail import Changed, Trail

_BUCKETS = 256
_WHOLE = {
    FragmentKind.CLUSTER: CLUSTER,
    FragmentKind.ENDPOINTS: ENDPOINTS,
    FragmentKind.SECRET: SECRET,
}
_PLACED = (ENDPOINTS, SECRET)
"""What proxies in other clusters may have of their own: whom they ask, and what they prove to be."""


class Resource(NamedTuple):
    """A resource as it goes out: `encoded` is the discovery Resource message, in pieces."""

    version: str
    encoded: tuple[bytes, ...]


@dataclass(slots=True)
class _Host:
    """A virtual host: its own bytes and its routes in order."""

    head: bytes | None = None
    order: list[tuple[str, str]] = field(default_factory=list)
    routes: dict[str, Fragment] = field(default_factory=dict)
    framed: bytes | None = None
    """Its bytes, while nothing in it changed: 40 others stand in the bucket of one that did."""

    def encoded(self) -> bytes:
        """The virtual host as a field of its RouteConfiguration."""
        if self.framed is None:
            self.framed = self._joined()
        return self.framed

    def _joined(self) -> bytes:
        if self.head is None:
            return b""
        parts = [self.head]
        for _, name in self.order:
            payload = self.routes[name].payload
            parts += (b"\x1a", varint(len(payload)), payload)
        return frame(2, b"".join(parts))


@dataclass(slots=True)
class _Table:
    """A RouteConfiguration: its own bytes, its virtual hosts by bucket, and the clusters its routes use."""

    head: bytes | None = None
    hosts: list[dict[str, _Host]] = field(default_factory=lambda: [{} for _ in range(_BUCKETS)])
    joined: list[bytes] = field(default_factory=lambda: [b""] * _BUCKETS)
    digests: list[bytes] = field(default_factory=lambda: [_digest(b"")] * _BUCKETS)
    """Of `joined`: a bucket that is empty again must not be told from one that always was."""
    dirty: set[int] = field(default_factory=set)
    clusters: Counter[str] = field(default_factory=Counter)
    used: frozenset[str] | None = None
    """The names in `clusters`, while they are the same."""
    ready: Resource | None = None


@dataclass(slots=True)
class _Port:
    """A Listener: its own bytes, and the filter chains that routes make."""

    head: Fragment | None = None
    chains: dict[str, Fragment] = field(default_factory=dict)
    ready: Resource | None = None

    def encoded(self, name: str, sealer: Sealer) -> Resource | None:
        """None while it has no bytes of its own."""
        if self.head is not None and self.ready is None:
            self.ready = self._joined(name, self.head, sealer)
        return self.ready if self.head is not None else None

    def _joined(self, name: str, head: Fragment, sealer: Sealer) -> Resource:
        chains = [self.chains[one] for one in sorted(self.chains)]
        parts = [clear(head, sealer), *(frame(3, one.payload) for one in chains)]
        version = head.version
        if chains:
            said = "\0".join([version, *(one.version for one in chains)])
            version = hashlib.blake2b(said.encode(), digest_size=16).hexdigest()
        return Resource(version, encode_resource(LISTENER, name, version, parts))


class Assembly:
    """All resources of one gateway. `offset` is the last that said something of one of its fragments."""

    def __init__(self, sealer: Sealer) -> None:
        self.offset = -1
        self._sealer = sealer
        self._resources: dict[str, dict[str, Resource]] = {kind: {} for kind in ORDER}
        self._elsewhere: dict[str, dict[str, Resource]] = {kind: {} for kind in ORDER}
        """For proxies in other clusters, by their fragments' names."""
        self._tables: dict[str, _Table] = {}
        self._ports: dict[str, _Port] = {}
        self._parents: dict[str, str] = {}
        self._orphans: dict[str, _Host] = {}
        self.fragments: dict[FragmentKey, Fragment] = {}
        self._before: dict[FragmentKey, Fragment] = {}
        """What stood at a key before its latest change: served in place of what is withheld."""
        self._withheld: set[FragmentKey] = set()
        self.trail = Trail()

    def names(self, type_url: str) -> Iterable[str]:
        """The names of all resources of a type."""
        if type_url == ROUTES:
            return [name for name, table in self._tables.items() if table.head is not None]
        if type_url == LISTENER:
            return [name for name, port in self._ports.items() if port.head is not None]
        return self._resources[type_url].keys()

    def get(self, type_url: str, name: str, elsewhere: str = "") -> Resource | None:
        """A resource as it is now; None when there is none.

        Proxies `elsewhere`, in another cluster than their Gateway's, have their own where theirs differ.
        """
        if type_url == ROUTES:
            return self._routes(name)
        if type_url == LISTENER:
            port = self._ports.get(name)
            return port.encoded(name, self._sealer) if port is not None else None
        found = self._resources[type_url].get(name)
        if elsewhere:
            found = self._elsewhere[type_url].get(placed(name, elsewhere), found)
        if found is None and type_url == ENDPOINTS and name in self._resources[CLUSTER]:
            # A new cluster would warm for 15 s without an assignment (measured): an empty one ends that.
            return empty_assignment(name)
        return found

    def is_placed(self, elsewhere: str) -> bool:
        """Whether its Gateway has proxies in another cluster; in its own it may always have some."""
        return not elsewhere or placed_name(elsewhere) in self._elsewhere[ENDPOINTS]

    def clusters(self, route_config: str) -> frozenset[str]:
        """The clusters that the routes of a RouteConfiguration use."""
        table = self._tables.get(route_config)
        if table is None:
            return frozenset()
        if table.used is None:
            table.used = frozenset(table.clusters)
        return table.used

    def apply(self, rows: Mapping[FragmentKey, Fragment | None], offset: int) -> set[Changed]:
        """Set and remove fragments; answers the resources that may have changed."""
        changed: set[Changed] = set()
        # Heads before what stands in them, removals in the same pass: order within a batch does not matter.
        differing = [key for key in sorted(rows) if self.fragments.get(key) != rows[key]]
        self.trail.changed(differing)
        for key in differing:
            changed |= self._one(key, rows[key])
        if rows:
            # Though nothing differs: what was gone and came back between two looks is waited for all the same.
            self.offset = max(self.offset, offset)
        return changed

    def withhold(self, guilty: Iterable[Fragment]) -> set[Changed]:
        """Stop serving fragments that no Envoy takes: what stood there before is served, or nothing.

        A withheld fragment stays known; it is over when its key changes, such as by a quarantine. A route
        configuration's own bytes are served on where nothing stood before.
        """
        changed: set[Changed] = set()
        for one in guilty:
            if self.served(one.key) != one:
                continue
            # What stood there before may be guilty, too.
            before = self._before.get(one.key) if one.key not in self._withheld else None
            if before is None and one.key.kind is FragmentKind.ROUTE_CONFIG:
                continue  # A table that is not there is waited for by nobody: who refuses it would have everything.
            changed |= self._place(one.key, one, before)
            if before is None:
                self._before.pop(one.key, None)
            self._withheld.add(one.key)
        return changed

    def release(self, key: FragmentKey) -> set[Changed]:
        """Serve what was withheld."""
        if key not in self._withheld:
            return set()
        self._withheld.discard(key)
        self.trail.changed((key,))
        return self._place(key, self._before.get(key), self.fragments[key])

    def served(self, key: FragmentKey) -> Fragment | None:
        """What is served at a key: the fragment that is there, or in place of a withheld one that before it."""
        return (self._before if key in self._withheld else self.fragments).get(key)

    def table_of(self, virtual_host: str) -> str | None:
        """The RouteConfiguration that a virtual host stands in."""
        return self._parents.get(virtual_host)

    def _one(self, key: FragmentKey, new: Fragment | None) -> set[Changed]:
        old = self.fragments.pop(key, None)
        served = old
        if key in self._withheld:
            self._withheld.discard(key)
            served = self._before.get(key)
        elif old is not None:
            self._before[key] = old
        if new is not None:
            self.fragments[key] = new
        else:
            self._before.pop(key, None)
        return self._place(key, served, new)

    def _place(self, key: FragmentKey, old: Fragment | None, new: Fragment | None) -> set[Changed]:
        """Put `new` where `old` is served."""
        if key.kind in _WHOLE:
            return self._whole(_WHOLE[key.kind], key, new)
        old, new = self._clear(old), self._clear(new)
        if key.kind is FragmentKind.LISTENER:
            self._port(key.name).head = new
            return self._listener(key.name)
        if key.kind is FragmentKind.FILTER_CHAIN:
            return self._filter_chain(key.name, old, new)
        if key.kind is FragmentKind.ROUTE_CONFIG:
            table = self._tables.setdefault(key.name, _Table())
            table.head = new.payload if new is not None else None
            table.ready = None
            return {(ROUTES, key.name)}
        if key.kind is FragmentKind.VIRTUAL_HOST:
            return self._virtual_host(key.name, old, new)
        return self._route(key.name, old, new)

    def _clear(self, one: Fragment | None) -> Fragment | None:
        """As it stands beside others; equal fragments are equal in clear, too."""
        return replace(one, payload=clear(one, self._sealer), sealed=False) if one is not None and one.sealed else one

    def _whole(self, type_url: str, key: FragmentKey, new: Fragment | None) -> set[Changed]:
        name, elsewhere = whose(type_url, key.name)
        changed = {(type_url, name)}
        mine = (self._elsewhere if elsewhere else self._resources)[type_url]
        if type_url == CLUSTER and (key.name in mine) != (new is not None):
            # Its empty assignment comes and goes with it.
            changed.add((ENDPOINTS, key.name))
        if new is None:
            mine.pop(key.name, None)
        else:
            body = clear(new, self._sealer)
            mine[key.name] = Resource(new.version, encode_resource(type_url, name, new.version, (body,)))
        return changed

    def _port(self, name: str) -> _Port:
        return self._ports.setdefault(name, _Port())

    def _filter_chain(self, name: str, old: Fragment | None, new: Fragment | None) -> set[Changed]:
        changed = set()
        if old is not None:
            del self._port(old.parent).chains[name]
            changed |= self._listener(old.parent)
        if new is not None:
            self._port(new.parent).chains[name] = new
            changed |= self._listener(new.parent)
        return changed

    def _listener(self, name: str) -> set[Changed]:
        port = self._port(name)
        port.ready = None
        if port.head is None and not port.chains:
            del self._ports[name]
        return {(LISTENER, name)}

    def _virtual_host(self, name: str, old: Fragment | None, new: Fragment | None) -> set[Changed]:
        changed = set()
        host = self._orphans.pop(name, None)
        if old is not None:
            host = self._tables[old.parent].hosts[_bucket(name)].pop(name)
            self._count(old.parent, host.routes.values(), -1)
            changed.add(self._touch(old.parent, name))
            del self._parents[name]
        host = host or _Host()
        host.head, host.framed = new.payload if new is not None else None, None
        if new is not None:
            table = self._tables.setdefault(new.parent, _Table())
            table.hosts[_bucket(name)][name] = host
            self._parents[name] = new.parent
            self._count(new.parent, host.routes.values(), 1)
            changed.add(self._touch(new.parent, name))
        elif host.routes:
            self._orphans[name] = host
        return changed

    def _route(self, name: str, old: Fragment | None, new: Fragment | None) -> set[Changed]:
        changed = set()
        # Counted up first: an edit that keeps a cluster must not look as if the cluster went and came.
        for fragment, by in ((new, 1), (old, -1)):
            parent = self._parents.get(fragment.parent) if fragment is not None else None
            if fragment is not None and parent is not None:
                self._count(parent, (fragment,), by)
                changed.add(self._touch(parent, fragment.parent))
        for fragment, by in ((old, -1), (new, 1)):
            if fragment is None:
                continue
            host = self._host(fragment.parent)
            host.framed = None
            place = (fragment.order, name)
            if by < 0:
                del host.order[bisect_left(host.order, place)]
                del host.routes[name]
                if not host.routes:
                    self._orphans.pop(fragment.parent, None)
            else:
                insort(host.order, place)
                host.routes[name] = fragment
        return changed

    def _host(self, name: str) -> _Host:
        parent = self._parents.get(name)
        if parent is not None:
            return self._tables[parent].hosts[_bucket(name)][name]
        return self._orphans.setdefault(name, _Host())

    def _touch(self, route_config: str, host: str) -> Changed:
        table = self._tables[route_config]
        table.dirty.add(_bucket(host))
        table.ready = None
        return ROUTES, route_config

    def _count(self, route_config: str, routes: Iterable[Fragment], by: int) -> None:
        table = self._tables[route_config]
        for route in routes:
            for name in clusters_of_route(route.payload):
                before = table.clusters[name]
                table.clusters[name] = before + by
                if not before + by:
                    del table.clusters[name]
                if not before or not before + by:
                    table.used = None

    def _routes(self, name: str) -> Resource | None:
        table = self._tables.get(name)
        if table is None or table.head is None:
            return None
        if table.ready is None:
            for bucket in table.dirty:
                hosts = table.hosts[bucket]
                table.joined[bucket] = b"".join([hosts[host].encoded() for host in sorted(hosts)])
                table.digests[bucket] = _digest(table.joined[bucket])
            table.dirty.clear()
            version = hashlib.blake2b(table.head + b"\0" + b"\0".join(table.digests), digest_size=16).hexdigest()
            table.ready = Resource(version, encode_resource(ROUTES, name, version, (table.head, *table.joined)))
        return table.ready


def whose(type_url: str, name: str) -> tuple[str, str]:
    """A resource's name, and the cluster ("" for the Gateway's own) whose proxies are given this fragment for it."""
    return place_of(name) if type_url in _PLACED else (name, "")


def _digest(joined: bytes) -> bytes:
    return hashlib.blake2b(joined, digest_size=16).digest()


def empty_assignment(cluster: str) -> Resource:
    """The endpoints of a cluster that has none."""
    body = frame(1, cluster.encode())
    version = hashlib.blake2b(body, digest_size=16).hexdigest()
    return Resource(version, encode_resource(ENDPOINTS, cluster, version, (body,)))


def _bucket(name: str) -> int:
    return hashlib.blake2b(name.encode(), digest_size=1).digest()[0]
