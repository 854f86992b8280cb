"""Conditions as Kubernetes spells them; lastTransitionTime belongs to the status writer."""

from __future__ import annotations

from typing import Any

from engine.graph.reader import Reader, Resource
from engine.ref import Ref


def condition(kind: str, status: bool, reason: str, message: str, generation: int) -> dict[str, Any]:  # noqa: FBT001  the field itself
    """A metav1.Condition without lastTransitionTime."""
    return {
        "type": kind,
        "status": "True" if status else "False",
        "reason": str(reason),
        "message": message,
        "observedGeneration": generation,
    }


def present(graph: Reader, ref: Ref) -> tuple[int, str]:
    """metadata.generation of the revision that is written now, and what its model has against it ("" for nothing)."""
    resource = graph.read(ref)
    return (resource.generation, resource.refusal) if resource is not None else (0, "")


def not_taken(resource: Resource, kinds: tuple[str, ...], reason: str) -> dict[str, Any]:
    """The wanted status of an object of which no revision was ever taken."""
    text = f"{resource.refusal}: mend it"
    found = [condition(kind, False, reason, text, resource.generation) for kind in kinds]
    return {"generation": resource.generation, "status": {"conditions": found}, "programmed": {}}
