"""In which places two JSON values differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

ABSENT: Final = "(absent)"
_NAMES: Final = ("name", "type")
"""By these an element of a list is known, where each of both lists has another."""


class Place(NamedTuple):
    """A place as a person writes it, `spec.rules[0].matches`, and what stands there; `ABSENT` for nothing."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: str = "") -> Iterator[Place]:
    """The innermost places where two values differ, in order of their paths' parts."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted(before.keys() | after.keys()):
            yield from differences(
                before.get(name, ABSENT), after.get(name, ABSENT), f"{path}.{name}" if path else name
            )
    elif _is_list(before) and _is_list(after):
        yield from _of_lists(before, after, path)
    else:
        yield Place(path, before, after)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _of_lists(before: Sequence[Any], after: Sequence[Any], path: str) -> Iterator[Place]:
    named = next((name for name in _NAMES if _is_known_by(before, name) and _is_known_by(after, name)), None)
    if named is None:
        old: dict[Any, Any] = dict(enumerate(before))
        new: dict[Any, Any] = dict(enumerate(after))
    else:
        old, new = ({one[named]: one for one in some} for some in (before, after))
    for key in dict.fromkeys((*old, *new)):
        yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), f"{path}[{key}]")
    if named is not None and list(old) != list(new) and old.keys() == new.keys():
        yield Place(path, list(old), list(new))


def _is_known_by(some: Sequence[Any], name: str) -> bool:
    names = [one.get(name) if isinstance(one, Mapping) else None for one in some]
    return all(isinstance(one, str) for one in names) and len(set(names)) == len(names)
