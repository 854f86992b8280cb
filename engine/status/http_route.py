"""The status of an HTTPRoute: one entry a parentRef of a Gateway of ours (RouteParentStatus)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from engine.graph.reader import Json, Reader
from engine.ref import Ref
from engine.resolve.attachment import Parent
from engine.resolve.manifest import GATEWAY_API, items, metadata_of, object_of, spec_of
from engine.resolve.rule import ResolvedRoute
from engine.resolve.settings import settings
from engine.status.condition import condition


class Reason(StrEnum):
    """Reasons that are not a problem's own."""

    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    UNSUPPORTED_VALUE = "UnsupportedValue"


def route_status(graph: Reader, ref: Ref, parents: dict[int, tuple[Parent, ResolvedRoute]]) -> dict[str, Any]:
    """The wanted status; parentRefs that name nothing of ours are another controller's business."""
    object_ = object_of(graph, ref)
    generation = int(metadata_of(object_).get("generation") or 0)
    refs = items(spec_of(object_).get("parentRefs"))
    controller = settings(graph).controller_name
    entries = [
        {
            "parentRef": _parent_ref(refs[index]),
            "controllerName": controller,
            "conditions": _conditions(parent, resolved, generation),
        }
        for index, (parent, resolved) in sorted(parents.items())
        if index < len(refs)
    ]
    return {"generation": generation, "status": {"parents": entries}, "programmed": {}}


def _parent_ref(item: Json) -> dict[str, Any]:
    """The parentRef as an API server defaults it."""
    return {"group": GATEWAY_API, "kind": "Gateway", **item}


def _conditions(parent: Parent, resolved: ResolvedRoute, generation: int) -> list[dict[str, Any]]:
    found = [_accepted(parent, resolved, generation)]
    if parent.problem is None and resolved.unresolved:
        first = resolved.unresolved[0]
        text = "; ".join(dict.fromkeys(one.message for one in resolved.unresolved))
        found.append(condition("ResolvedRefs", False, first.reason, text, generation))
    else:
        text = "all references are resolved"
        found.append(condition("ResolvedRefs", True, Reason.RESOLVED_REFS, text, generation))
    partly = [resolved.fallen_back] if resolved.fallen_back is not None else []
    if len(resolved.replaced) < len(resolved.rules):
        partly += (*resolved.replaced, *resolved.left_out)
    if partly:
        text = "; ".join(dict.fromkeys(one.message for one in partly))
        found.append(condition("PartiallyInvalid", True, partly[0].reason, text, generation))
    return found


def _accepted(parent: Parent, resolved: ResolvedRoute, generation: int) -> dict[str, Any]:
    if parent.problem is not None:
        return condition("Accepted", False, parent.problem.reason, parent.problem.message, generation)
    if resolved.replaced and len(resolved.replaced) == len(resolved.rules):
        text = "; ".join(dict.fromkeys(one.message for one in resolved.replaced))
        return condition("Accepted", False, resolved.replaced[0].reason, text, generation)
    return condition("Accepted", True, Reason.ACCEPTED, "the route is accepted", generation)
