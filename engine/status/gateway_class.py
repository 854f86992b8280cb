"""The status of a GatewayClass."""

from __future__ import annotations

from engine.graph.reader import Outputs, Reader
from engine.ref import Ref
from engine.resolve.gateway_class import ClassKey
from engine.resolve.manifest import object_of, refused_from_the_start, spec_of
from engine.resolve.parameters import class_parameters
from engine.resolve.settings import settings
from engine.status.condition import condition, not_taken, present
from engine.status.features import FEATURES


def gateway_class_status(graph: Reader, ref: Ref) -> Outputs:
    """Accepted when it names our controller, with what we serve; other controllers' classes are not written to."""
    object_ = object_of(graph, ref)
    never = refused_from_the_start(graph, ref)
    if never is not None:
        ours = spec_of(never.written).get("controllerName") == settings(graph).controller_name
        return Outputs((("status", str(ref), not_taken(never, ("Accepted",), "InvalidParameters")),) if ours else ())
    if object_ is None or spec_of(object_).get("controllerName") != settings(graph).controller_name:
        return Outputs()
    generation, refusal = present(graph, ref)
    found = graph.get(class_parameters, ClassKey(ref.cluster, ref.name))
    problem = found.problem if found is not None else None
    text = problem.message if problem is not None else "Gateways of this class are served"
    text = f"{refusal}; until it is mended, the last good revision counts" if refusal else text
    bad = bool(problem or refusal)
    accepted = condition("Accepted", not bad, "InvalidParameters" if bad else "Accepted", text, generation)
    told = {"conditions": [accepted], "supportedFeatures": [{"name": one} for one in FEATURES]}
    status = {"generation": generation, "status": told, "programmed": {}}
    return Outputs((("status", str(ref), status),))
