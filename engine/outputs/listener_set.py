"""What a ListenerSet puts out: its status, and that its Gateway has one more. Its listeners are its Gateway's."""

from __future__ import annotations

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import ATTACHED, SETS, STATUS
from engine.outputs.gateway import listeners_broken
from engine.ref import Ref
from engine.resolve.gateway import gateway_of_set
from engine.resolve.listener import listeners
from engine.status.listener_set import listener_set_status


def listener_set_outputs(graph: Reader, ref: Ref) -> Outputs:
    """The status of a ListenerSet of a Gateway of ours."""
    gateway = graph.get(gateway_of_set, ref)
    every = (graph.get(listeners, gateway) if gateway is not None else None) or ()
    mine = [one.name for one in every if one.source == ref]
    attached = {name: graph.count(ATTACHED, (gateway, name)) for name in mine}
    broken = graph.get(listeners_broken, gateway) if gateway is not None and mine else {}
    status = listener_set_status(graph, ref, attached, broken)
    if status is None:
        return Outputs()
    accepted = any(one["type"] == "Accepted" and one["status"] == "True" for one in status["status"]["conditions"])
    return Outputs(((STATUS, str(ref), document(status)),), ((SETS, gateway),) if accepted else ())
