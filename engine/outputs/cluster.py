"""What a Cluster object puts out: its status, and when something becomes of what an unreachable cluster exports."""

from __future__ import annotations

from typing import Any

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import DEADLINE, STATUS
from engine.ref import Ref
from engine.resolve.cluster import cluster, cluster_ref, due
from engine.status.cluster import cluster_status


def described_outputs(graph: Reader, ref: Ref) -> Outputs:
    """The status of a Cluster; of one that counts, the deadline too."""
    told = cluster_status(graph, ref)
    if told is None:
        return Outputs()
    items: list[tuple[str, str, Any]] = [(STATUS, str(ref), document(told))]
    if ref != cluster_ref(graph, ref.name):
        return Outputs(tuple(items))
    at = graph.get(due, ref.name)
    if at is not None and graph.get(cluster, ref.name).after_ms:
        items.append((DEADLINE, str(ref), at))
    return Outputs(tuple(items))
