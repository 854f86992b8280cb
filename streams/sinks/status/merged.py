"""What an object's status is to be, of what stands there and what is wanted: ours replaced, everybody else's kept.

`lastTransitionTime` comes into being here: it is history, and nothing that is derived has any. Times are RFC 3339.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

Json = Mapping[str, Any]

SHARED: Final = {"parents": 32, "ancestors": 16}
"""Lists that belong to every controller that takes part, each entry to the one it names, with their greatest lengths.

They are atomic (`x-kubernetes-list-type`): who applies one applies all of it, the others' entries too. The lengths are
those of Gateway API's RouteStatus and PolicyStatus.
"""
_ADDRESSES: Final = 16
"""Addresses of a Gateway's status. A load balancer may have more: those that it names first are told."""
_MESSAGE: Final = 32_768
"""Characters of a condition's message (metav1.Condition)."""


def merged(current: Json, wanted: Json, controllers: Collection[str], now: str) -> dict[str, Any]:
    """The status to apply, of `current`, the status in the cluster, and `wanted`; conditions get their time."""
    return {name: _field(name, current.get(name), value, controllers, now) for name, value in wanted.items()} | {
        name: _theirs(current[name], controllers) for name in SHARED if name not in wanted and name in current
    }


def _field(name: str, current: Any, wanted: Any, controllers: Collection[str], now: str) -> Any:
    match name:
        case "conditions":
            return _conditions(current, wanted, now)
        case "listeners":
            return _parts(current, wanted, ("name",), now)
        case "addresses":
            return list(wanted)[:_ADDRESSES]
        case "parents" | "ancestors":
            theirs = _theirs(current or (), controllers)
            ours = _parts([one for one in current or () if one not in theirs], wanted, _ENTRY[name], now)
            return theirs + ours[: max(SHARED[name] - len(theirs), 0)]
    return wanted


_ENTRY: Final = {"parents": ("parentRef", "controllerName"), "ancestors": ("ancestorRef", "controllerName")}


def _theirs(entries: Iterable[Json], controllers: Collection[str]) -> list[dict[str, Any]]:
    return [dict(one) for one in entries if one.get("controllerName") not in controllers]


def _parts(current: Any, wanted: Iterable[Json], key: tuple[str, ...], now: str) -> list[dict[str, Any]]:
    """Parts that have conditions of their own, each known by the fields `key`."""
    before = list(current or ())
    return [
        {
            **one,
            "conditions": _conditions(
                next((old.get("conditions") for old in before if all(old.get(k) == one.get(k) for k in key)), None),
                one.get("conditions") or (),
                now,
            ),
        }
        for one in wanted
    ]


def _conditions(current: Any, wanted: Iterable[Json], now: str) -> list[dict[str, Any]]:
    before = {one["type"]: one for one in current or ()}
    return [
        {**one, "message": str(one.get("message", ""))[:_MESSAGE], "lastTransitionTime": _since(before, one) or now}
        for one in wanted
    ]


def _since(before: Mapping[str, Json], wanted: Json) -> str | None:
    """Since when a condition has its status, None when it changes now."""
    old = before.get(wanted["type"])
    return old.get("lastTransitionTime") if old is not None and old.get("status") == wanted["status"] else None
