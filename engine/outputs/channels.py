"""The words of output queries: channels of items, and the counted indexes that call other outputs into being."""

from __future__ import annotations

from typing import NamedTuple

from engine.observed import CONFIGURATION, SELECTION
from engine.observed import GROUP as OBSERVED
from engine.ref import Ref
from engine.resolve.values import BackendKey
from engine.resolve.way import Selection, Way

FRAGMENT = "fragment"
NODE = "node"
STATUS = "status"
INFRA = "infra"
"""What is wanted of the world: a proxy, by its Gateway's ref, and objects that are read, by LOOKUP and theirs."""
LOOKUP = "lookup/"
_LOOKUP_SLASHES = len(Ref._fields)
"""One of LOOKUP, and those in a ref: that of a Gateway of a cluster that is called so has fewer."""
ON_REQUEST = frozenset({("", "Secret"), (OBSERVED, SELECTION), (OBSERVED, CONFIGURATION)})
"""Kinds, (group, name), of which a source may bring only the objects that are asked for."""
DEADLINE = "deadline"
"""key -> RFC 3339: a Tick is wanted then."""

BROKEN = "broken"
"""Fragments that Envoy's field rules forbid: what they break; counted by FragmentKey too."""

HOST = "host"
"""Counts what wants a virtual host (Host)."""
BACKEND = "backend"
"""Counts what wants a cluster (Used)."""
EXTENDED = "extended"
"""Counts what names an object by ExtensionRef (Named); each Named that is counted claims the object, by Gateway."""
CHAIN = "chain"
"""Counts what wants a Chain; routes claim it, by age."""
SECRET = "secret"
"""Counts what wants a certificate (Served)."""
CREDENTIAL = "credential"
"""Counts what names a Credential."""
AUTHORITIES = "authorities"
"""Counts what wants the authorities of a port's clients (Port)."""
EXPIRY = "expiry"
"""Counts what names a certificate (Served), whether it can be served or not."""
ATTACHED = "attached"
"""Counts routes by (Gateway, listener name)."""
SETS = "sets"
"""Counts accepted ListenerSets by Gateway."""
WAYS = "ways"
"""Claims of ways, by depth, that name a route (Served)."""
OPEN = "open"
"""Claims of ways, by depth, that select several routes (Selection)."""
DELEGATED = "delegated"
"""Counts what delegates to a route (Served)."""
LEG = "leg"
"""Counts what leads to a route (Leg): the route itself, as long as it takes what comes that way."""
TAKEN = "taken"
"""Claims of routes that take what comes a way, by what selected them (Taken)."""
REACHED = "reached"
"""Claims of ways by the route that they lead to: what each gives it, and what stands against that (Arrival)."""
COMPANION = "companion"
"""Counts what wants a cluster that no route names (Companion)."""
IN_USE = "in use"
"""Claims of clusters in use by the kgateway Backends that they are of: (Gateway, backend, port, over)."""
SHARED = "shared"
"""Counts valid ServiceExports by what they share (Shared)."""
ENTRY = "entry"
"""Counts what is let in at remote gateways (Entry)."""
IDENTITY = "identity"
"""Counts what shows who a Gateway's proxies are, by the Gateway."""
POLICY = "policy"
"""Claims by policies: of clusters in use by the BackendTLSPolicies and BackendConfigPolicies that stand at them,
(Gateway, backend, port, over); of Stoods by TrafficPolicies."""
STANDING = "standing"
"""Counts places where a TrafficPolicy stands alike (Stood)."""
CONFIG = "config"
"""Counts what wants a RouteConfiguration (Config)."""
AROUND = "around"
"""Counts what wants the config of a filter at its RouteConfiguration (Around)."""
STANDS = "stands"
"""Claims of Gateways by the listener policies that stand at them: (Gateway)."""


def is_lookup(name: str) -> bool:
    """Whether an item of INFRA is an object that is read, or else a proxy."""
    return name.startswith(LOOKUP) and name.count("/") == _LOOKUP_SLASHES


class Host(NamedTuple):
    """A virtual host of a RouteConfiguration of a Gateway; `hostname` "*" for any."""

    gateway: Ref
    route_config: str
    hostname: str
    tls: bool
    listener: str


class Config(NamedTuple):
    """A RouteConfiguration of a Gateway."""

    gateway: Ref
    name: str


class Around(NamedTuple):
    """A filter, by name, that something in a RouteConfiguration needs the config of there."""

    gateway: Ref
    route_config: str
    filter: str


class Stood(NamedTuple):
    """What a policy has where it stands, below a Gateway: fields that it has, and those that other policies have.

    `shared` are those that it has with others, `shut` those by which it would switch off what guards farther out.
    """

    policy: Ref
    gateway: Ref
    won: tuple[str, ...]
    lost: tuple[tuple[str, Ref], ...]
    shared: tuple[str, ...] = ()
    shut: tuple[str, ...] = ()


class Chain(NamedTuple):
    """A hostname ("*" for any) of a listener whose connections or datagrams go whole to one route's backends."""

    gateway: Ref
    listener: str
    hostname: str


class Used(NamedTuple):
    """A backend that a Gateway's routes use."""

    gateway: Ref
    backend: BackendKey


class Companion(NamedTuple):
    """A cluster, by its name, that clusters of a Gateway need beside them."""

    gateway: Ref
    name: str


class Wanted(NamedTuple):
    """A Secret that a Gateway's listeners or backends use."""

    gateway: Ref
    secret: Ref


class Leg(NamedTuple):
    """A route to which requests come on a way."""

    way: Way
    child: Ref


class Taken(NamedTuple):
    """A backendRef that delegates, on a way."""

    way: Way
    selection: Selection


class Arrival(NamedTuple):
    """What a way gives a route: which of its matches, (rule, match) each, and problems as (reason, message)."""

    parent: Ref
    way: Way
    refused: tuple[tuple[str, str], ...] = ()
    unresolved: tuple[tuple[str, str], ...] = ()
    partly: tuple[tuple[str, str], ...] = ()
    matches: tuple[tuple[int, int], ...] = ()
