"""The status of a GatewayClass."""

from __future__ import annotations

from engine.graph.reader import Outputs, Reader
from engine.ref import Ref
from engine.resolve.manifest import metadata_of, object_of, spec_of
from engine.resolve.settings import settings
from engine.status.condition import condition


def gateway_class_status(graph: Reader, ref: Ref) -> Outputs:
    """Accepted when it names our controller; other controllers' classes are not written to."""
    object_ = object_of(graph, ref)
    if object_ is None or spec_of(object_).get("controllerName") != settings(graph).controller_name:
        return Outputs()
    generation = int(metadata_of(object_).get("generation") or 0)
    parameters = spec_of(object_).get("parametersRef")
    text = "parametersRef is not served: remove it" if parameters else "Gateways of this class are served"
    reason = "InvalidParameters" if parameters else "Accepted"
    accepted = condition("Accepted", not parameters, reason, text, generation)
    status = {"generation": generation, "status": {"conditions": [accepted]}, "programmed": {}}
    return Outputs((("status", str(ref), status),))
