"""Conditions as Kubernetes spells them; lastTransitionTime belongs to the status writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.graph.reader import Reader, Resource
from engine.ref import Ref
from engine.resolve.values import PENDING, Problem


def condition(kind: str, status: bool, reason: str, message: str, generation: int) -> dict[str, Any]:  # noqa: FBT001  the field itself
    """A metav1.Condition without lastTransitionTime."""
    return {
        "type": kind,
        "status": "True" if status else "False",
        "reason": str(reason),
        "message": message,
        "observedGeneration": generation,
    }


def resolved(problems: Sequence[Problem], fine: tuple[str, str], generation: int) -> dict[str, Any]:
    """ResolvedRefs: False for the first problem that is one, Unknown while something is still being read."""
    first = next((one for one in problems if one.reason != PENDING), problems[0] if problems else None)
    reason, message = fine if first is None else (first.reason, first.message)
    found = condition("ResolvedRefs", first is None, reason, message, generation)
    return {**found, "status": "Unknown"} if reason == PENDING else found


def present(graph: Reader, ref: Ref) -> tuple[int, str]:
    """metadata.generation of the revision that is written now, and what its model has against it ("" for nothing)."""
    resource = graph.read(ref)
    return (resource.generation, resource.refusal) if resource is not None else (0, "")


def not_taken(resource: Resource, kinds: tuple[str, ...], reason: str) -> dict[str, Any]:
    """The wanted status of an object of which no revision was ever taken."""
    text = f"{resource.refusal}: mend it"
    found = [condition(kind, False, reason, text, resource.generation) for kind in kinds]
    return {"generation": resource.generation, "status": {"conditions": found}, "programmed": {}}
