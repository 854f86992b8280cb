"""What a GatewayExtension puts out: its status; what it does is put out by those that name it."""

from __future__ import annotations

from engine.document import document
from engine.graph.reader import Outputs, Reader
from engine.outputs.channels import STATUS
from engine.policies.extension.section import Built
from engine.policies.extension.sections import built
from engine.ref import Ref
from engine.resolve.extension import Extended
from engine.resolve.held import rejections
from engine.resolve.manifest import refused_from_the_start
from engine.resolve.values import PENDING, Problem
from engine.status.condition import condition, not_taken, present


def extension_outputs(graph: Reader, ref: Ref) -> Outputs:
    """The status of a GatewayExtension."""
    never = refused_from_the_start(graph, ref)
    if never is not None:
        return Outputs(((STATUS, str(ref), document(not_taken(never, ("Accepted",), "Invalid"))),))
    at, refusal = present(graph, ref)
    # As it is now, for those whose proxies take it.
    found = graph.get(built, Extended(ref, ref))
    left_out = found.left_out if isinstance(found, Built) else ()
    text = "; ".join(("the extension is served to policies that name it", *left_out))
    one = condition("Accepted", True, "Accepted", text, at)
    if refusal:
        text = f"{refusal}; until it is mended, the last good revision is served"
        one = condition("Accepted", False, "Invalid", text, at)
    elif isinstance(found, Problem):
        one = condition("Accepted", False, "Invalid", found.message, at)
        one |= {"status": "Unknown", "reason": PENDING} if found.reason == PENDING else {}
    elif text := rejections(graph, ref):
        one = condition("Accepted", False, "Invalid", text, at)
    said = {"generation": at, "status": {"conditions": [one]}, "programmed": {}}
    return Outputs(((STATUS, str(ref), document(said)),))
