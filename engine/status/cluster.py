"""The conditions of a Cluster."""

from __future__ import annotations

from typing import Any, Final

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.cluster import is_name
from engine.resolve.settings import settings
from engine.resolve.values import Problem
from engine.status.condition import condition, not_taken, present

ACCEPTED: Final = "Accepted"


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
    return {"generation": at, "status": {"conditions": conditions}, "programmed": {}}


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
