"""What the status of an object says of a pin: what is served in its place, since when, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.status.condition import condition
from engine.update import Status

PINNED = "penstock.dev/Pinned"
"""The condition's type, and its reason's word."""
_LISTS = ("parents", "ancestors")
"""Members of a status that have conditions for each of several Gateways."""


def annotated(status: Status, pin: str, row: Mapping[str, Any]) -> Status:
    """The status with a condition, of the generation that the status is of."""
    found = condition(
        PINNED, True, "Pinned" if row["gateway"] else "RolledBack", _words(pin, row), status["generation"]
    )
    told = dict(status["status"])
    for name in _LISTS:
        if told.get(name):
            told[name] = [{**one, "conditions": [*one.get("conditions", ()), found]} for one in told[name]]
    if not any(told.get(name) for name in _LISTS):
        told["conditions"] = [*told.get("conditions", ()), found]
    return {**status, "status": told}


def _words(pin: str, row: Mapping[str, Any]) -> str:
    until = f" until {row['until']}" if row["until"] else ""
    trial = " unless confirmed" if row["on_trial"] else ""
    return (
        f"served as of offset {row['to']} since {row['time']}{until}{trial}, by {row['actor'] or 'somebody'}: "
        f"{row['reason']}. To end it: penstock unpin {pin}"
    )
