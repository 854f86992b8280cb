"""Which conditions become otherwise, of whatever object: in what they say, not since when or of which generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from engine.status.condition import conditions

_OF: Final = ("listener", "parent", "ancestor")


class Said(NamedTuple):
    """What a condition says."""

    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Turned:
    """A condition that becomes otherwise; None where it is not there. `of` is the listener, parent or ancestor."""

    of: str
    type: str
    before: Said | None
    after: Said | None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """An object, `str(Ref)`, and its conditions that become otherwise, sorted."""

    ref: str
    conditions: tuple[Turned, ...]


def status_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[StatusChange, ...]:
    """Of wanted statuses by `str(Ref)`, as an Update has them; sorted."""
    found = []
    for ref in sorted(before.keys() | after.keys()):
        old, new = (_said(some.get(ref)) for some in (before, after))
        if old == new:
            continue
        keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        found.append(StatusChange(ref, tuple(Turned(*key, old.get(key), new.get(key)) for key in keys)))
    return tuple(found)


def _said(status: Mapping[str, Any] | None) -> dict[tuple[str, str], Said]:
    if status is None:
        return {}
    found = {}
    for one in conditions(status["status"]):
        of = next((f"{word} {one[word]}" for word in _OF if word in one), "")
        found[of, one["type"]] = Said(one["status"], str(one["reason"]), one["message"])
    return found
