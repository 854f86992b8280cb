"""Whether applying a status would change anything: what it says stands there, and we own nothing that it leaves out.

`owned` is a FieldsV1 tree as `metadata.managedFields` has it for our field manager: `f:NAME` a field, `k:{…}` an
element of a list by its key, `v:…` a value of a set, `.` the thing itself (structured-merge-diff).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

Json = Mapping[str, Any]

_KEYS: Final = ("type", "name")
"""By which elements of a list are known that server-side apply merges: conditions by type, listeners by name."""


def changes(current: Json, wanted: Json, owned: Json) -> bool:
    """Whether applying `wanted` over `current` changes it, when `owned` is what we applied before."""
    return not (_stands(wanted, current) and _says(wanted, owned))


def owned_by(object_: Json, manager: str) -> dict[str, Any]:
    """The FieldsV1 tree of the status that `manager` applied to an object; empty when it applied none."""
    for entry in object_["metadata"].get("managedFields") or ():
        if (entry.get("manager"), entry.get("operation"), entry.get("subresource")) == (manager, "Apply", "status"):
            return dict((entry.get("fieldsV1") or {}).get("f:status") or {})
    return {}


def conditions_of_others(object_: Json, manager: str) -> frozenset[str]:
    """The types of the conditions in the status of which anybody but `manager` wrote something."""
    found: set[str] = set()
    for entry in object_["metadata"].get("managedFields") or ():
        if entry.get("subresource") != "status" or (entry.get("manager"), entry.get("operation")) == (manager, "Apply"):
            continue
        theirs = ((entry.get("fieldsV1") or {}).get("f:status") or {}).get("f:conditions")
        if theirs is None:
            continue
        types = condition_types(theirs)
        # Without keys the list is one value, and whoever wrote it has all that stands in it.
        found |= types or {str(one.get("type")) for one in (object_.get("status") or {}).get("conditions") or ()}
    return frozenset(found)


def condition_types(owned: Json) -> frozenset[str]:
    """The types that a FieldsV1 tree of conditions knows them by."""
    return frozenset(str(orjson.loads(key[2:]).get("type")) for key in owned if key.startswith("k:"))


def _stands(wanted: Any, current: Any) -> bool:
    if isinstance(wanted, Mapping) and isinstance(current, Mapping):
        return all(name in current and _stands(value, current[name]) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(current, list) and (key := _key(wanted)):
        there = {one.get(key): one for one in current}
        return all(one[key] in there and _stands(one, there[one[key]]) for one in wanted)
    return bool(wanted == current)


def _key(elements: Iterable[Any]) -> str | None:
    """The field by which a list's elements are known; None for a list that is one value."""
    found = list(elements)
    return next((k for k in _KEYS if found and all(isinstance(one, Mapping) and k in one for one in found)), None)


def _says(value: Any, owned: Json) -> bool:
    """Whether everything that we own stands in the value."""
    for step, below in owned.items():
        kind, _, name = step.partition(":")
        match kind:
            case "f":
                if not isinstance(value, Mapping) or name not in value or not _says(value[name], below):
                    return False
            case "k":
                key = orjson.loads(name)
                one = next((one for one in value if key.items() <= one.items()), None)
                if one is None or not _says(one, below):
                    return False
            case "v":
                if orjson.loads(name) not in value:
                    return False
    return True
