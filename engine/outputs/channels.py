"""The words of output queries: channels of items, and the counted indexes that call other outputs into being."""

from __future__ import annotations

from typing import NamedTuple

from engine.ref import Ref
from engine.resolve.values import BackendKey

FRAGMENT = "fragment"
NODE = "node"
STATUS = "status"
INFRA = "infra"
"""What is wanted of the world: a proxy, by its Gateway's ref, and objects that are read, by LOOKUP and theirs."""
LOOKUP = "lookup/"
ON_REQUEST = frozenset({("", "Secret")})
"""Kinds, (group, name), of which a source may bring only the objects that are asked for."""
DEADLINE = "deadline"
"""key -> RFC 3339: a Tick is wanted then."""

BROKEN = "broken"
"""Fragments that Envoy's field rules forbid: what they break; counted by FragmentKey too."""

HOST = "host"
"""Counts what wants a virtual host (Host)."""
BACKEND = "backend"
"""Counts what wants a cluster (Used)."""
CHAIN = "chain"
"""Counts what wants a Chain; routes claim it, by age."""
SECRET = "secret"
"""Counts what wants a certificate (Served)."""
AUTHORITIES = "authorities"
"""Counts what wants the authorities of a port's clients (Port)."""
EXPIRY = "expiry"
"""Counts what names a certificate (Served), whether it can be served or not."""
ATTACHED = "attached"
"""Counts routes by (Gateway, listener name)."""
SETS = "sets"
"""Counts accepted ListenerSets by Gateway."""
POLICY = "policy"
"""Claims by policies: of clusters in use by the BackendTLSPolicies and BackendConfigPolicies that stand at them,
(Gateway, backend, port, over); of Stoods by TrafficPolicies."""
STANDING = "standing"
"""Counts places where a TrafficPolicy stands alike (Stood)."""
CONFIG = "config"
"""Counts what wants a RouteConfiguration (Config)."""


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


class Stood(NamedTuple):
    """What a policy has where it stands, below a Gateway: fields that it has, and those that other policies have."""

    policy: Ref
    gateway: Ref
    won: tuple[str, ...]
    lost: tuple[tuple[str, Ref], ...]


class Chain(NamedTuple):
    """A hostname ("*" for any) of a listener whose connections or datagrams go whole to one route's backends."""

    gateway: Ref
    listener: str
    hostname: str


class Used(NamedTuple):
    """A backend that a Gateway's routes use."""

    gateway: Ref
    backend: BackendKey


class Wanted(NamedTuple):
    """A Secret that a Gateway's listeners or backends use."""

    gateway: Ref
    secret: Ref
