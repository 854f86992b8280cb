"""What one offset changed downstream: fragments, graph nodes, statuses, infrastructure, fold state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from engine.ref import Ref, parse_ref


class FragmentKind(StrEnum):
    """The pieces of Envoy config that change alone. The value is the kind's word in keys."""

    CLUSTER = "cluster"
    """An envoy.config.cluster.v3.Cluster."""
    ENDPOINTS = "endpoints"
    """An envoy.config.endpoint.v3.ClusterLoadAssignment; its name is its cluster's."""
    SECRET = "secret"
    """An envoy.extensions.transport_sockets.tls.v3.Secret; always sealed."""
    LISTENER = "listener"
    """An envoy.config.listener.v3.Listener."""
    FILTER_CHAIN = "filter_chain"
    """A FilterChain that routes make; `parent` is the Listener's name. A Listener holds other chains itself."""
    ROUTE_CONFIG = "route_config"
    """An envoy.config.route.v3.RouteConfiguration without its virtual hosts."""
    VIRTUAL_HOST = "virtual_host"
    """A VirtualHost without its routes; `parent` is the RouteConfiguration's name."""
    ROUTE = "route"
    """A Route; `parent` is the VirtualHost's name. Routes of one parent are in order of (`order`, name)."""


class FragmentKey(NamedTuple):
    """Names a fragment: unique over all gateways. `str(key)` is its key on the topic, below the domain."""

    gateway: Ref
    kind: FragmentKind
    name: str

    def __str__(self) -> str:
        return f"{self.gateway}/{self.kind.value}/{self.name}"


def parse_fragment_key(text: str) -> FragmentKey:
    """Read back `str(key)`; raises ValueError when it is none."""
    parts = text.split("/", 6)
    if len(parts) != 7:
        msg = f"not a fragment key: {text!r}"
        raise ValueError(msg)
    return FragmentKey(parse_ref("/".join(parts[:5])), FragmentKind(parts[5]), parts[6])


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of Envoy config, encoded once.

    `payload` is the message's bytes (deterministic protobuf), sealed when `sealed`; `version` is the content hash
    (blake2b-128, hex; keyed with the sealing key when sealed). `provenance` are the objects it was derived from
    with the generations that were read, sorted.
    """

    key: FragmentKey
    payload: bytes
    version: str
    parent: str = ""
    order: str = ""
    provenance: tuple[tuple[Ref, int], ...] = ()
    sealed: bool = False


Node = Mapping[str, Any]
"""A node of the resolved routing graph as public JSON."""

Status = Mapping[str, Any]
"""The wanted status of one object: `{"generation": int, "status": {...}, "programmed": {gateway: offset}}`.

`status` is what Kubernetes would show, without lastTransitionTime; conditions that depend on acknowledgement
stand there as they will be once acknowledged, and `engine.status.programmed` turns them down until then.
"""


@dataclass(frozen=True, slots=True)
class Delta:
    """Keys set and keys removed, of one kind of output. No key is in both.

    `before` is what stood under them, where it is told: of the routing graph's nodes.
    """

    set: Mapping[str, Any] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    before: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __bool__(self) -> bool:
        return bool(self.set or self.removed)


@dataclass(frozen=True, slots=True)
class Update:
    """All that one offset changed. Every mapping is keyed by the text that is the record's key below the domain.

    `fragments`: str(FragmentKey) -> Fragment. `nodes`: "kind/name…" -> Node. `statuses`: str(Ref) -> Status.
    `infra`: str(Gateway Ref) -> the proxy wanted (JSON). `state`: fold state key -> JSON (see `Engine.state`).
    `wake_at` asks for a Tick at that time (RFC 3339), None for none. `warnings` are for the log only.
    `refusal`: why the change set does not count, "" when it does; nothing has changed then.
    """

    offset: int
    time: str
    fragments: Delta = field(default_factory=Delta)
    nodes: Delta = field(default_factory=Delta)
    statuses: Delta = field(default_factory=Delta)
    infra: Delta = field(default_factory=Delta)
    state: Delta = field(default_factory=Delta)
    wake_at: str | None = None
    warnings: tuple[str, ...] = ()
    refusal: str = ""
