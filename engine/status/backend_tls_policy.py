"""The status of a BackendTLSPolicy: one ancestor a Gateway that uses what it names (PolicyStatus)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from engine.graph.reader import Reader
from engine.ref import Ref
from engine.resolve.backend_tls import Policy, aims, authorities, winner
from engine.resolve.manifest import GATEWAY_API, object_of
from engine.resolve.settings import settings
from engine.resolve.values import PENDING
from engine.status.condition import condition, present, resolved

MOST: Final = 16
"""Ancestors that the API lets through."""


class Reason(StrEnum):
    """Reasons that are not a problem's own."""

    ACCEPTED = "Accepted"
    CONFLICTED = "Conflicted"
    INVALID = "Invalid"
    NO_VALID_CA = "NoValidCACertificate"
    RESOLVED_REFS = "ResolvedRefs"


def policy_status(graph: Reader, policy: Ref, gateways: Iterable[Ref]) -> dict[str, Any]:
    """The wanted status."""
    generation, refusal = present(graph, policy)
    entries = [
        {
            "ancestorRef": {
                "group": GATEWAY_API,
                "kind": "Gateway",
                "namespace": gateway.namespace,
                "name": gateway.name,
            },
            "controllerName": settings(graph).controller_name,
            "conditions": _conditions(graph, Policy(gateway, policy), generation, refusal),
        }
        for gateway in list(gateways)[:MOST]
    ]
    return {"generation": generation, "status": {"ancestors": entries}, "programmed": {}}


def _conditions(graph: Reader, key: Policy, generation: int, refusal: str) -> list[dict[str, Any]]:
    trusted = graph.get(authorities, key)
    unresolved = [one for one in trusted.problems if one.reason != Reason.INVALID]
    reason, text = _accepted(graph, key, refusal)
    accepted = condition("Accepted", reason == Reason.ACCEPTED, reason, text, generation)
    if reason == PENDING:
        accepted["status"] = "Unknown"
    refs = resolved(unresolved, (Reason.RESOLVED_REFS, "all references are resolved"), generation)
    if unresolved:
        refs["message"] = "; ".join(one.message for one in unresolved)
    return [accepted, refs]


def _accepted(graph: Reader, key: Policy, refusal: str) -> tuple[str, str]:
    if refusal:
        return Reason.INVALID, f"{refusal}; until it is mended, the last good revision is served"
    for aim in aims(key.policy, object_of(graph, key.policy)):
        first = graph.get(winner, aim)
        if first is not None and first != key.policy:
            named = f"{aim.target.kind} {aim.target.name}" + (f", port {aim.section}" if aim.section else "")
            return Reason.CONFLICTED, f"BackendTLSPolicy {first.name} is older and has {named}: remove one of the two"
    trusted = graph.get(authorities, key)
    if not trusted.bundle and not trusted.system:
        first_problem = next((one for one in trusted.problems if one.reason == PENDING), trusted.problems[0])
        is_own = first_problem.reason in (Reason.INVALID, PENDING)
        return first_problem.reason if is_own else Reason.NO_VALID_CA, first_problem.message
    return Reason.ACCEPTED, "the policy is accepted"
