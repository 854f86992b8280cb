"""What objects that routes name by ExtensionRef put out of their own: a DirectResponse's status."""

from __future__ import annotations

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import EXTENDED, STATUS
from engine.ref import Ref
from engine.resolve.manifest import held_fact
from engine.resolve.rule_extension import Named
from engine.resolve.values import Problem
from engine.status.policy import Standing, policy_status


def named_outputs(graph: Reader, key: Named) -> Outputs:  # noqa: ARG001  an output query takes both
    """That a Gateway's routes name an object: once, however many do."""
    return Outputs(claims=((EXTENDED, key.ref, key.gateway),))


def direct_response_outputs(graph: Reader, ref: Ref) -> Outputs:
    """The status; none while no route of a Gateway of ours names it."""
    standings = [_standing(graph, gateway, ref) for gateway in graph.claimed(EXTENDED, ref)]
    if not standings:
        return Outputs()
    return Outputs(((STATUS, str(ref), document(policy_status(graph, ref, standings))),))


def _standing(graph: Reader, gateway: Ref, ref: Ref) -> Standing:
    error = graph.fact(held_fact(gateway, ref))
    if error is None:
        return Standing(gateway)
    text = f"a proxy rejected it ({str(error)[:300]}): mend it; until then its last good revision is served, if any"
    return Standing(gateway, problems=(Problem("Quarantined", text),))
