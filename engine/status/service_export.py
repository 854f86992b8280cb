"""The conditions of a ServiceExport (ServiceExportConditionType of multicluster.x-k8s.io/v1beta1, KEP-1645)."""

from __future__ import annotations

from typing import Any, Final

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.service_export import Export, Reason, Shared, conflicts, exported, exports
from engine.status.condition import condition, not_taken, present

VALID: Final = "Valid"
READY: Final = "Ready"
CONFLICT: Final = "Conflict"


def export_status(graph: Reader, ref: Ref) -> dict[str, Any]:
    """The wanted status; it is an export of the last good revision where the present one is refused."""
    at, refusal = present(graph, ref)
    found = graph.get(exported, ref)
    if not isinstance(found, Export):
        told = [
            condition(VALID, False, found.reason, found.message, at),
            condition(READY, False, "Failed", found.message, at),
        ]
        return _status(at, told)
    text = f"{refusal}; until it is mended, the last good revision is exported" if refusal else "the export is valid"
    told = [
        condition(VALID, not refusal, "Invalid" if refusal else VALID, text, at),
        condition(READY, True, "Exported", "it can be used in all clusters", at),
        _conflict(graph.get(exports, Shared(ref.namespace, ref.name)), found, at),
    ]
    return _status(at, told)


def never_taken(graph: Reader, ref: Ref) -> dict[str, Any] | None:
    """The status of one of which no revision was ever taken; None for any other."""
    resource = graph.read(ref)
    if resource is None or resource.object is not None:
        return None
    return not_taken(resource, (VALID, READY), "Invalid")


def _conflict(some: tuple[Export, ...], export: Export, at: int) -> dict[str, Any]:
    found = conflicts(some, export)
    if not found:
        return condition(CONFLICT, False, "NoConflicts", "it agrees with what counts", at)
    order = list(Reason)
    reasons = sorted((reason for reason, _ in found), key=order.index)
    return condition(CONFLICT, True, ",".join(reasons), "; ".join(text for _, text in found), at)


def _status(generation: int, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"generation": generation, "status": {"conditions": conditions}, "programmed": {}}
