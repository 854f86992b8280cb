"""What a domain knows of its clusters: their `Cluster` objects, of which only the configuration cluster's count."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from engine.graph.reader import Reader
from engine.instant import written
from engine.models.cluster import GROUP
from engine.models.duration import milliseconds
from engine.ref import Ref
from engine.resolve.gateway import age
from engine.resolve.indexes import ENTRANCES, entrance_of
from engine.resolve.manifest import mapping, object_of, passed_fact, spec_of, stale_fact, texts
from engine.resolve.settings import settings

KIND: Final = "Cluster"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Action(StrEnum):
    """What becomes of what an unreachable cluster exports."""

    KEEP = "Keep"
    DRAIN = "Drain"
    DROP = "Drop"


class RemoteGateway(NamedTuple):
    """Where requests from other networks enter a cluster."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster; one that no object describes has the defaults. `after_ms`: how long it is unreachable first."""

    name: str
    region: str = ""
    network: str = ""
    gateway: RemoteGateway | None = None
    action: Action = Action.KEEP
    after_ms: int = 0
    keys: tuple[str, ...] = ()


def is_name(text: str) -> bool:
    """Whether refs can have it as their cluster."""
    return _NAME.fullmatch(text) is not None


def cluster_ref(graph: Reader, name: str) -> Ref | None:
    """The object that describes a cluster; None where there is no configuration cluster."""
    configuration = settings(graph).configuration_cluster
    return Ref(configuration, GROUP, KIND, "", name) if configuration else None


def cluster(graph: Reader, name: str) -> Cluster:
    """What is known of a cluster."""
    ref = cluster_ref(graph, name)
    spec = spec_of(object_of(graph, ref)) if ref is not None else {}
    entry, unreachable = entrance_of(spec), mapping(spec.get("whenUnreachable"))
    return Cluster(
        name,
        str(spec.get("region") or ""),
        str(spec.get("network") or ""),
        RemoteGateway(*entry) if entry is not None else None,
        Action(unreachable.get("action") or Action.KEEP),
        milliseconds(unreachable.get("after")) or 0,
        texts(spec.get("publicKeys")),
    )


def rival(graph: Reader, name: str) -> str:
    """The older cluster whose remote gateway has the same address and port; "" for none.

    Envoy takes one address for one endpoint, in whatever locality and priority, and keeps the first that it is told
    (measured with 1.40): two clusters cannot be entered there, and the gateway's proxies are of one of them.
    """
    ref, gateway = cluster_ref(graph, name), graph.get(cluster, name).gateway
    if ref is None or gateway is None:
        return ""
    some = (one for one in graph.find(ENTRANCES, (ref.cluster, *gateway)) if is_name(one.name))
    first = min(some, key=lambda one: graph.get(age, one), default=ref)
    return first.name if first != ref else ""


def entrance(graph: Reader, name: str) -> RemoteGateway | None:
    """Where a cluster is entered from other networks; None for one that has no way in of its own."""
    gateway = graph.get(cluster, name).gateway
    return gateway if gateway is not None and not graph.get(rival, name) else None


def stale_since(graph: Reader, name: str) -> str:
    """Since when a cluster cannot be reached; "" while it can."""
    return str(graph.fact(stale_fact(name)) or "")


def due(graph: Reader, name: str) -> str | None:
    """When something becomes of what an unreachable cluster exports; None for never. It may have passed."""
    since, known = stale_since(graph, name), graph.get(cluster, name)
    if not since or known.action is Action.KEEP:
        return None
    try:
        return written(datetime.fromisoformat(since) + timedelta(milliseconds=known.after_ms))
    except OverflowError:  # By a clock that is at the end of the calendar.
        return None


def in_force(graph: Reader, name: str) -> Action:
    """What is done now with what a cluster exports to others: kept, unless it cannot be reached for long enough."""
    at, known = graph.get(due, name), graph.get(cluster, name)
    return known.action if at is not None and (not known.after_ms or graph.fact(passed_fact(at))) else Action.KEEP
