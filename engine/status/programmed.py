"""Joins a wanted status with what proxies have acknowledged; the only place where the two meet."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from engine.placement import parse_placement
from engine.ref import Ref

Json = Mapping[str, Any]

PENDING = "Pending"


class Reason(StrEnum):
    """Reasons that no graph gives."""

    NO_RESOURCES = "NoResources"


def programmed(status: Json, converged: Mapping[str, int | None], undeployed: str = "") -> dict[str, Any]:
    """The status as it is shown.

    `converged` says for each placement of a Gateway the greatest offset that all its connected proxies, at least one,
    have acknowledged together, None when they never did. A Programmed condition is True once that reaches the offset of
    the wanted status; a proxy that comes or goes later revokes nothing. `undeployed` is of a Gateway why its proxies
    cannot be deployed as wanted, "" when they are: until they can, it is not Programmed, whatever runs of it.
    """
    shown = _acknowledged(status, converged)
    if not undeployed:
        return shown
    message = f"its proxies cannot be deployed as it wants them: {undeployed}"
    told = {"status": "False", "reason": Reason.NO_RESOURCES.value, "message": message}
    conditions = shown.get("conditions") or ()
    return shown | {"conditions": [one | told if one["type"] == "Programmed" else one for one in conditions]}


def undeployed(gateway: Ref, said: Mapping[str, str]) -> str:
    """Why proxies of a Gateway cannot be deployed, in words; `said` by placement, "" where they are."""
    placements = [(parse_placement(text), words) for text, words in sorted(said.items()) if words]
    mine = [(one, words) for one, words in placements if one.gateway == gateway]
    return "; ".join(f"in cluster {one.cluster}: {words}" if one.elsewhere else words for one, words in mine)


def _acknowledged(status: Json, converged: Mapping[str, int | None]) -> dict[str, Any]:
    shown: dict[str, Any] = dict(status["status"])
    waiting = [
        gateway
        for gateway, offset in sorted(dict(status.get("programmed") or {}).items())
        if converged.get(gateway) is None or (converged[gateway] or 0) < offset
    ]
    if not waiting:
        return shown
    nothing = converged.get(waiting[0]) is None
    why = "not all proxies, or none, have acknowledged " + ("anything yet" if nothing else "it")
    shown["conditions"] = _turned_down(shown.get("conditions"), why)
    if "listeners" in shown:
        shown["listeners"] = [
            {**one, "conditions": _turned_down(one.get("conditions"), why)} for one in shown["listeners"]
        ]
    return shown


def _turned_down(conditions: Any, why: str) -> list[dict[str, Any]]:
    return [
        {**one, "status": "False", "reason": PENDING, "message": why}
        if one["type"] == "Programmed" and one["status"] == "True"
        else one
        for one in conditions or ()
    ]
