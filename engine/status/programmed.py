"""Joins a wanted status with what proxies have acknowledged; the only place where the two meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]

PENDING = "Pending"


def programmed(status: Json, converged: Mapping[str, int | None]) -> dict[str, Any]:
    """The status as it is shown.

    `converged` says for each Gateway the lowest offset that all its connected proxies have acknowledged, None when no
    proxy is connected. A Programmed condition is True only once that reaches the offset of the wanted status.
    """
    shown: dict[str, Any] = dict(status["status"])
    waiting = [
        gateway
        for gateway, offset in sorted(dict(status.get("programmed") or {}).items())
        if converged.get(gateway) is None or (converged[gateway] or 0) < offset
    ]
    if not waiting:
        return shown
    why = "no proxy is connected yet" if converged.get(waiting[0]) is None else "not all proxies have acknowledged it"
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
