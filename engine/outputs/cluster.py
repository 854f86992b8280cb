"""What a Cluster object puts out: its status."""

from __future__ import annotations

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import STATUS
from engine.ref import Ref
from engine.status.cluster import cluster_status


def described_outputs(graph: Reader, ref: Ref) -> Outputs:
    """The status of a Cluster."""
    told = cluster_status(graph, ref)
    return Outputs(((STATUS, str(ref), document(told)),)) if told is not None else Outputs()
