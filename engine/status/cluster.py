"""The conditions of a Cluster."""

from __future__ import annotations

from typing import Any, Final

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.cluster import Action, cluster, cluster_ref, due, in_force, is_name, rival, stale_since
from engine.resolve.settings import settings
from engine.resolve.values import Problem
from engine.status.condition import condition, not_taken, present

ACCEPTED: Final = "Accepted"
REACHABLE: Final = "Reachable"
REMOTE_GATEWAY: Final = "RemoteGateway"
_WORDS: Final = {
    Action.KEEP: "its last state is served",
    Action.DRAIN: "what it exports is used where no other cluster has any",
    Action.DROP: "what it exports is not used",
}


def cluster_status(graph: Reader, ref: Ref) -> dict[str, Any] | None:
    """The wanted status; None when the object is gone."""
    resource = graph.read(ref)
    if resource is None:
        return None
    if resource.object is None:
        return not_taken(resource, (ACCEPTED,), "Invalid")
    at, refusal = present(graph, ref)
    problem = _problem(graph, ref)
    if problem is None and refusal:
        problem = Problem("Invalid", f"{refusal}; until it is mended, the last good revision counts")
    reason, message = (problem.reason, problem.message) if problem is not None else (ACCEPTED, "it counts")
    conditions = [condition(ACCEPTED, problem is None, reason, message, at)]
    if ref == cluster_ref(graph, ref.name):
        conditions.append(_reachable(graph, ref.name, at))
        if graph.get(cluster, ref.name).gateway is not None:
            conditions.append(_remote_gateway(graph, ref.name, at))
    return {"generation": at, "status": {"conditions": conditions}, "programmed": {}}


def _reachable(graph: Reader, name: str, at: int) -> dict[str, Any]:
    since = stale_since(graph, name)
    if not since:
        return condition(REACHABLE, True, "Reachable", "nobody says otherwise", at)
    text = f"stale since {since}: its API server does not answer; {_WORDS[graph.get(in_force, name)]}"
    when = graph.get(due, name)
    if when is not None and graph.get(in_force, name) is Action.KEEP:
        text += f" until {when}"
    return condition(REACHABLE, False, "Unreachable", text, at)


def _remote_gateway(graph: Reader, name: str, at: int) -> dict[str, Any]:
    """Whether other networks enter the cluster there."""
    older = graph.get(rival, name)
    if not older:
        return condition(REMOTE_GATEWAY, True, ACCEPTED, "other networks enter here", at)
    address, port = graph.get(cluster, name).gateway or ("", 0)
    text = (
        f"Cluster {older}, which is older, has the same remote gateway, {address} port {port}: that is {older}'s, and "
        f"other networks have no way to {name}; give {name} an address or port of its own"
    )
    return condition(REMOTE_GATEWAY, False, "AddressInUse", text, at)


def _problem(graph: Reader, ref: Ref) -> Problem | None:
    """Why it does not count."""
    configuration = settings(graph).configuration_cluster
    if not configuration:
        text = "no cluster of the domain is its configuration cluster: name it in PENSTOCK_CONFIGURATION_CLUSTER"
        return Problem("NoConfigurationCluster", text)
    if ref.cluster != configuration:
        text = f"only Cluster objects of cluster {configuration} count (PENSTOCK_CONFIGURATION_CLUSTER): write it there"
        return Problem("NotConfigurationCluster", text)
    if not is_name(ref.name):
        text = f"{ref.name!r} is no name for a cluster: use at most 63 of a-z, 0-9 and -"
        return Problem("InvalidName", text)
    return None
