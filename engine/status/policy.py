"""The status of kgateway's policies: what of each is in force at each ancestor (PolicyStatus, at most 16 of them)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, NamedTuple

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.settings import settings
from engine.resolve.values import PENDING, Problem
from engine.status.condition import condition, present

MOST: Final = 16
"""Ancestors that the API lets through."""


class Reason(StrEnum):
    """Reasons of kgateway's policies, and `TARGET_NOT_FOUND`, of which kgateway says nothing."""

    VALID = "Valid"
    INVALID = "Invalid"
    ATTACHED = "Attached"
    MERGED = "Merged"
    OVERRIDDEN = "Overridden"
    TARGET_NOT_FOUND = "TargetNotFound"
    CONFLICTED_WITH_BACKEND_TLS = "ConflictedWithBackendTLSPolicy"


class Standing(NamedTuple):
    """What became of a policy at one ancestor: `won` and `lost` are its fields by name, `lost` with who has them."""

    ancestor: Ref
    won: tuple[str, ...] = ()
    lost: tuple[tuple[str, Ref], ...] = ()
    problems: tuple[Problem, ...] = ()
    missing: tuple[str, ...] = ()
    """Targets, in words, that are not there, or are not what can be named."""
    more: tuple[tuple[str, str, str], ...] = ()
    """Further conditions that are true: type, reason, message."""
    shared: tuple[str, ...] = ()
    """Of its fields in force those that others have a part of."""
    shut: tuple[str, ...] = ()
    """Of its lost fields those that would switch off what guards farther out."""


def policy_status(graph: Reader, policy: Ref, standings: Iterable[Standing]) -> dict[str, Any]:
    """The wanted status."""
    generation, refusal = present(graph, policy)
    entries = [
        {
            "ancestorRef": _ancestor(one.ancestor),
            "controllerName": settings(graph).controller_name,
            "conditions": [
                _accepted(one, refusal, generation),
                _attached(one, generation),
                *(condition(kind, True, reason, text, generation) for kind, reason, text in one.more),
            ],
        }
        for one in sorted(standings, key=lambda one: one.ancestor)[:MOST]
    ]
    return {"generation": generation, "status": {"ancestors": entries}, "programmed": {}}


def _ancestor(ref: Ref) -> dict[str, str]:
    return {"group": ref.group, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}


def _accepted(one: Standing, refusal: str, generation: int) -> dict[str, Any]:
    if refusal:
        return condition("Accepted", False, Reason.INVALID, f"{refusal}: mend it", generation)
    if not one.problems:
        return condition("Accepted", True, Reason.VALID, "Policy accepted", generation)
    text = "; ".join(dict.fromkeys(problem.message for problem in one.problems))
    if all(problem.reason == PENDING for problem in one.problems):
        return {**condition("Accepted", False, PENDING, text, generation), "status": "Unknown"}
    return condition("Accepted", False, Reason.INVALID, text, generation)


def _attached(one: Standing, generation: int) -> dict[str, Any]:
    if one.missing:
        text = "; ".join(one.missing)
        return condition("Attached", False, Reason.TARGET_NOT_FOUND, text, generation)
    if not one.lost and one.shared:
        text = f"Merged with other policies in target(s) and attached: {', '.join(one.shared)}"
        return condition("Attached", True, Reason.MERGED, text, generation)
    if not one.lost:
        return condition("Attached", True, Reason.ATTACHED, "Attached to all targets", generation)
    who = ", ".join(f"{field} by {ref.kind} {ref.namespace}/{ref.name}" for field, ref in one.lost)
    if one.shut:
        who += f"; {', '.join(one.shut)}: disable cannot switch off what guards farther out"
        who += ", unless that policy lets it (penstock.dev/may-be-disabled)"
    if one.won:
        text = f"Merged with other policies in target(s) and attached; overridden: {who}"
        return condition("Attached", True, Reason.MERGED, text, generation)
    text = f"Overridden due to conflict with higher priority policy in target(s): {who}"
    return condition("Attached", False, Reason.OVERRIDDEN, text, generation)
