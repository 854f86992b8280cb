"""What a BackendTLSPolicy puts out: its status, for the Gateways that use what it names."""

from __future__ import annotations

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import POLICY, STATUS
from engine.ref import Ref
from engine.status.backend_tls_policy import policy_status


def policy_outputs(graph: Reader, ref: Ref) -> Outputs:
    """The status of a policy; none while no Gateway of ours uses what it names."""
    gateways = sorted({gateway for gateway, *_ in graph.claimed(POLICY, ref)})
    if not gateways:
        return Outputs()
    return Outputs(((STATUS, str(ref), document(policy_status(graph, ref, gateways))),))
