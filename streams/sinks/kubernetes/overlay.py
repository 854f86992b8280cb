"""Kubernetes' strategic merge patches, and which items of two lists are the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Json = Mapping[str, Any]

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey",),
    "ownerReferences": ("uid",),
    "containerPorts": ("containerPort", "protocol"),
    "servicePorts": ("port", "protocol"),
}
"""Merge keys of core/v1's and meta/v1's lists; every other list is one value. `ports` is two lists by its items."""
_DIRECTIVE: Final = "$patch"


def patched(object_: Json, patch: Json) -> dict[str, Any]:
    """The object with a strategic merge patch on it: null removes, `$patch` deletes or replaces, lists merge by key."""
    if patch.get(_DIRECTIVE) == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    answer = dict(object_)
    for key, value in patch.items():
        old = answer.get(key)
        if value is None or (isinstance(value, Mapping) and value.get(_DIRECTIVE) == "delete"):
            answer.pop(key, None)
        elif isinstance(value, Mapping):
            answer[key] = patched(old if isinstance(old, Mapping) else {}, value)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            answer[key] = _patched_list(key, old if isinstance(old, list | tuple) else [], value)
        elif not key.startswith("$"):
            answer[key] = value
    return answer


def merge_key(name: str, items: Sequence[Any]) -> tuple[str, ...] | None:
    """The fields that tell items of a list apart; None where the list is one value."""
    if name == "ports":
        contained = any(isinstance(one, Mapping) and "containerPort" in one for one in items)
        name = "containerPorts" if contained else "servicePorts"
    return _KEYS.get(name)


def identity(item: Json, key: tuple[str, ...]) -> tuple[Any, ...]:
    """What an item is known by; a port without protocol is TCP's."""
    return tuple(item.get(one, "TCP" if one == "protocol" else None) for one in key)


def _patched_list(name: str, old: Sequence[Any], patch: Sequence[Any]) -> list[Any]:
    key = merge_key(name, [*old, *patch])
    if key is None or not all(isinstance(one, Mapping) for one in (*old, *patch)):
        return [one for one in patch if not (isinstance(one, Mapping) and _DIRECTIVE in one)]
    if any(one.get(_DIRECTIVE) == "replace" for one in patch):
        return [one for one in patch if _DIRECTIVE not in one]
    items = {identity(one, key): one for one in old}
    for one in patch:
        at = identity(one, key)
        if one.get(_DIRECTIVE) == "delete":
            items.pop(at, None)
        else:
            items[at] = patched(items.get(at, {}), one)
    return list(items.values())


def contains(live: Any, wanted: Any, name: str = "") -> bool:
    """Whether all that is wanted stands in a live object; what others added beside it does not count."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(contains(live.get(key), value, key) for key, value in wanted.items())
    if not isinstance(wanted, list | tuple):
        return bool(live == wanted)
    if not isinstance(live, list | tuple):
        return not wanted and live is None
    key = merge_key(name, wanted)
    if key is None or not all(isinstance(one, Mapping) for one in (*live, *wanted)):
        return len(live) == len(wanted) and all(contains(*pair) for pair in zip(live, wanted, strict=True))
    found = {identity(one, key): one for one in live}
    return all(contains(found.get(identity(one, key)), one) for one in wanted)
