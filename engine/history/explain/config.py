"""A Gateway's fragments as the messages that its proxies are served, read where they are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from envoy_data_plane.envoy.config.listener.v3 import FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import Route
from envoy_data_plane.google.protobuf import Any as ProtoAny

from engine.envoy.names import assignment_name
from engine.envoy.typed import unpacked
from engine.history.resource import MESSAGES
from engine.ref import Ref
from engine.seal import Sealer
from engine.update import Fragment, FragmentKind


@dataclass(frozen=True, slots=True)
class Placed:
    """A route with its fragment; those that a virtual host brings itself have the virtual host's."""

    fragment: Fragment
    message: Route


class Config:
    """What the proxies of one Gateway are served. It is read once, and only what requests come to.

    `elsewhere` is the cluster that these proxies are in, "" for the Gateway's own.
    """

    def __init__(self, gateway: Ref, fragments: Iterable[Fragment], sealer: Sealer, elsewhere: str = "") -> None:
        self.gateway = gateway
        self.elsewhere = elsewhere
        self._sealer = sealer
        self._by_name: dict[tuple[FragmentKind, str], Fragment] = {}
        self._within: defaultdict[tuple[FragmentKind, str], list[Fragment]] = defaultdict(list)
        self._read: dict[tuple[FragmentKind, str], Any] = {}
        self._inside: dict[tuple[str, bytes], Any] = {}
        self._routes: dict[str, tuple[Placed, ...]] = {}
        self._domains: dict[str, dict[str, str]] = {}
        for one in fragments:
            self._by_name[one.key.kind, one.key.name] = one
            if one.parent:
                self._within[one.key.kind, one.parent].append(one)

    @cached_property
    def listeners(self) -> tuple[Listener, ...]:
        """Those of requests and connections, by port; not those of datagrams."""
        found = [self.message(kind, name) for kind, name in self._by_name if kind is FragmentKind.LISTENER]
        return tuple(sorted((one for one in found if one.udp_listener_config is None), key=port_of))

    def chains(self, listener: Listener) -> list[FilterChain]:
        """Its own, and those that routes made."""
        made = self._within[FragmentKind.FILTER_CHAIN, listener.name]
        return [*listener.filter_chains, *(self.message(one.key.kind, one.key.name) for one in made)]

    def domains(self, route_config: str) -> dict[str, str]:
        """The names of the virtual hosts of a route configuration, by domain."""
        if route_config not in self._domains:
            hosts = sorted(self._within[FragmentKind.VIRTUAL_HOST, route_config], key=lambda one: one.key.name)
            self._domains[route_config] = {
                domain.lower(): one.key.name for one in hosts for domain in self.message(*one.key[1:]).domains
            }
        return self._domains[route_config]

    def routes(self, virtual_host: str) -> tuple[Placed, ...]:
        """The routes of a virtual host, in the order in which they are tried."""
        if virtual_host not in self._routes:
            host = self._by_name[FragmentKind.VIRTUAL_HOST, virtual_host]
            own = [Placed(host, one) for one in self.message(*host.key[1:]).routes]
            placed = sorted(self._within[FragmentKind.ROUTE, virtual_host], key=lambda one: (one.order, one.key.name))
            self._routes[virtual_host] = (*own, *(Placed(one, self.message(*one.key[1:])) for one in placed))
        return self._routes[virtual_host]

    def fragment(self, kind: FragmentKind, name: str) -> Fragment | None:
        """A fragment by its name; of endpoints those that are served there."""
        if self.elsewhere and kind is FragmentKind.ENDPOINTS:
            there = self._by_name.get((kind, assignment_name(name, self.elsewhere)))
            if there is not None:
                return there
        return self._by_name.get((kind, name))

    def message(self, kind: FragmentKind, name: str) -> Any:
        """Envoy's message of a fragment; None when there is none."""
        if (kind, name) not in self._read:
            found = self.fragment(kind, name)
            self._read[kind, name] = None if found is None else MESSAGES[kind].parse(self._clear(found))
        return self._read[kind, name]

    def inside(self, packed: ProtoAny | None) -> Any:
        """The message that is packed there, None for nothing.

        A connection manager has some forty filters: to read it takes longer than all else that an answer needs.
        """
        if packed is None:
            return None
        key = packed.type_url, packed.value
        if key not in self._inside:
            self._inside[key] = unpacked(packed)
        return self._inside[key]

    def _clear(self, one: Fragment) -> bytes:
        return self._sealer.unseal(one.payload, str(one.key).encode()) if one.sealed else one.payload


def configs(fragments: Mapping[str, Fragment], sealer: Sealer, elsewhere: str = "") -> dict[Ref, Config]:
    """The config of each Gateway, by its ref; `fragments` by `str(FragmentKey)`, as an Update has them.

    `elsewhere` as of a `Config`.
    """
    by_gateway: dict[Ref, list[Fragment]] = {}
    for one in fragments.values():
        by_gateway.setdefault(one.key.gateway, []).append(one)
    return {gateway: Config(gateway, by_gateway[gateway], sealer, elsewhere) for gateway in sorted(by_gateway)}


def port_of(listener: Listener) -> int:
    """The port that it listens on."""
    socket = listener.address.socket_address if listener.address is not None else None
    return int(socket.port_value or 0) if socket is not None else 0
