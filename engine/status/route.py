"""The status of a route of any kind: one entry a parentRef of a Gateway of ours (RouteParentStatus)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from engine.graph.reader import Json, Reader, Resource
from engine.ref import Ref
from engine.resolve.attachment import Parent, parent_gateway
from engine.resolve.listener import listeners
from engine.resolve.manifest import GATEWAY_API, items, object_of, spec_of
from engine.resolve.settings import settings
from engine.resolve.values import Problem, Verdict
from engine.status.condition import condition, present

_NOBODY: Final[Mapping[Ref, tuple[Parent, Verdict]]] = {}
_MOST: Final = 32
"""Entries that an API server takes (RouteStatus.parents)."""
_PARENT_REF: Final = ("group", "kind", "namespace", "name", "sectionName", "port")


class Reason(StrEnum):
    """Reasons that are not a problem's own."""

    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    UNSUPPORTED_VALUE = "UnsupportedValue"


def route_status(
    graph: Reader,
    ref: Ref,
    parents: Mapping[int, tuple[Parent, Verdict]],
    others: Mapping[Ref, tuple[Parent, Verdict]] = _NOBODY,
) -> dict[str, Any]:
    """The wanted status; parentRefs that name nothing of ours are another controller's business.

    `others` are parents that parentRefs do not name: routes that delegate to this one.
    """
    object_ = object_of(graph, ref)
    generation, refusal = present(graph, ref)
    refs = items(spec_of(object_).get("parentRefs"))
    controller = settings(graph).controller_name
    entries = [
        {
            "parentRef": _parent_ref(refs[index]),
            "controllerName": controller,
            "conditions": _conditions(parent, verdict, generation, refusal),
        }
        for index, (parent, verdict) in sorted(parents.items())
        if 0 <= index < len(refs)
    ]
    entries += [
        {
            "parentRef": {"group": one.group, "kind": one.kind, "namespace": one.namespace, "name": one.name},
            "controllerName": controller,
            "conditions": _conditions(parent, verdict, generation, refusal),
        }
        for one, (parent, verdict) in sorted(others.items())
    ]
    return {"generation": generation, "status": {"parents": entries[:_MOST]}, "programmed": {}}


def accepted(parents: Iterable[Parent], verdict: Verdict) -> list[str]:
    """The listeners at which a route is told to be accepted, sorted: only there it counts (ListenerStatus)."""
    if verdict.refused:
        return []
    return sorted({name for parent in parents if parent.problem is None for name in parent.listeners})


def _parent_ref(item: Json) -> dict[str, Any]:
    """The parentRef as an API server defaults it."""
    return {"group": GATEWAY_API, "kind": "Gateway", **item}


def refused_status(graph: Reader, ref: Ref, resource: Resource, ours: Container[int] = ()) -> dict[str, Any] | None:
    """The wanted status of a route that its model never took; None when it names nothing of ours.

    That is a Gateway, or what stands at a position of `ours`.
    """
    text = f"{resource.refusal}: mend it"
    accepted = condition("Accepted", False, Reason.UNSUPPORTED_VALUE, text, resource.generation)
    named = [
        {key: item[key] for key in _PARENT_REF if isinstance(item.get(key), str | int)}
        for item in items(spec_of(resource.written).get("parentRefs"))
    ]
    entries = [
        {"parentRef": _parent_ref(item), "controllerName": settings(graph).controller_name, "conditions": [accepted]}
        for at, item in enumerate(named)
        if at in ours
        or ((gateway := parent_gateway(graph, ref, item)) is not None and graph.get(listeners, gateway) is not None)
    ]
    return {"generation": resource.generation, "status": {"parents": entries}, "programmed": {}} if entries else None


def _conditions(parent: Parent, verdict: Verdict, generation: int, refusal: str) -> list[dict[str, Any]]:
    found = [_accepted(parent, verdict, generation)]
    if parent.problem is None and verdict.unresolved:
        first = verdict.unresolved[0]
        text = "; ".join(dict.fromkeys(one.message for one in verdict.unresolved))
        found.append(condition("ResolvedRefs", False, first.reason, text, generation))
    else:
        text = "all references are resolved"
        found.append(condition("ResolvedRefs", True, Reason.RESOLVED_REFS, text, generation))
    partly = ([_fall_back(refusal)] if refusal else []) + [*verdict.partly, *parent.left_out]
    if partly:
        text = "; ".join(dict.fromkeys(one.message for one in partly))
        found.append(condition("PartiallyInvalid", True, partly[0].reason, text, generation))
    return found


def _fall_back(refusal: str) -> Problem:
    """Worded as the Gateway API wants it (RouteConditionPartiallyInvalid)."""
    text = f"Fall Back: the last good revision is served, because the present one is refused ({refusal}): mend it"
    return Problem(Reason.UNSUPPORTED_VALUE, text)


def _accepted(parent: Parent, verdict: Verdict, generation: int) -> dict[str, Any]:
    if parent.problem is not None:
        return condition("Accepted", False, parent.problem.reason, parent.problem.message, generation)
    if verdict.refused:
        text = "; ".join(dict.fromkeys(one.message for one in verdict.refused))
        return condition("Accepted", False, verdict.refused[0].reason, text, generation)
    return condition("Accepted", True, Reason.ACCEPTED, "the route is accepted", generation)
