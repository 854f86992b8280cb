"""Conditions as Kubernetes spells them; lastTransitionTime belongs to the status writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.graph.reader import Reader, Resource
from engine.ref import Ref
from engine.resolve.values import PENDING, Problem

_BAD_WHEN_TRUE: Final = {"Conflict", "Conflicted", "Overridden", "PartiallyInvalid"}


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


def conditions(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All conditions of a status; those of a listener, a parent or an ancestor name it."""
    found = list(status.get("conditions") or ())
    for one in status.get("listeners") or ():
        found += [{"listener": one["name"], **each} for each in one.get("conditions") or ()]
    for one in status.get("parents") or ():
        found += [{"parent": _parent(one["parentRef"]), **each} for each in one.get("conditions") or ()]
    for one in status.get("ancestors") or ():
        found += [{"ancestor": _parent(one["ancestorRef"]), **each} for each in one.get("conditions") or ()]
    return found


def _parent(ref: Mapping[str, Any]) -> str:
    """A parentRef or ancestorRef in words: two of a route may differ in any of these."""
    name = "/".join(str(ref[part]) for part in ("namespace", "name") if ref.get(part))
    section = f" listener {ref['sectionName']}" if ref.get("sectionName") else ""
    if ref.get("kind") == "HTTPRoute":
        name = f"HTTPRoute {name}"
    return name + section + (f" port {ref['port']}" if ref.get("port") else "")


def is_good(one: Mapping[str, Any]) -> bool:
    """Whether a condition says that all is well."""
    bad = "True" if one["type"] in _BAD_WHEN_TRUE else "False"
    return bool(one["status"] != bad)
