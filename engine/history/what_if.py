"""What would be otherwise if something were said: the fold read with one more event, which nobody ever sees.

It compares two states of a domain; how the second was come to, on a fork or by another version, is not its affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from engine.events import ChangeSet
from engine.fold import RESOURCE
from engine.history.diff import Diff, Moment, diff, others
from engine.history.radius import Radius, radius
from engine.history.statuses import StatusChange, status_changes
from engine.update import Update


class Reads(Protocol):
    """What is needed of an engine to see its state."""

    offset: int

    def everything(self) -> Update: ...
    def state(self) -> dict[str, Any]: ...


class Applies(Reads, Protocol):
    """And of a fork."""

    def apply(self, change_set: ChangeSet, offset: int) -> Update: ...


class Forks(Reads, Protocol):
    """And of an engine that is tried on."""

    def fork(self) -> Applies: ...


@dataclass(frozen=True, slots=True)
class State:
    """All that is compared of a domain: `statuses` by `str(Ref)`, as an Update has them."""

    moment: Moment
    statuses: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What is otherwise in the second of two states: on each level, in conditions, and how far that reaches."""

    diff: Diff
    statuses: tuple[StatusChange, ...]
    radius: Radius

    def __bool__(self) -> bool:
        """Whether anything is otherwise."""
        return bool(self.diff or self.statuses)


@dataclass(frozen=True, slots=True)
class Trial:
    """A change set applied to a fork: both states, and the defects that showed (`Update.warnings`)."""

    before: State
    after: State
    warnings: tuple[str, ...]


def tried(engine: Forks, change_set: ChangeSet) -> Trial:
    """What the engine would come to with a change set more; it stays as it is."""
    before = state(engine)
    fork = engine.fork()
    update = fork.apply(change_set, engine.offset + 1)
    return Trial(before, state(fork), update.warnings)


def state(engine: Reads) -> State:
    """An engine's state, for a comparison."""
    rows = {key: row["object"] for key, row in engine.state().items() if key.startswith(RESOURCE)}
    objects = {key.removeprefix(RESOURCE): one for key, one in rows.items()}
    update = engine.everything()
    return State(Moment(engine.offset, objects, update.fragments.set, update.infra.set), update.statuses.set)


def what_if(before: State, after: State) -> WhatIf:
    """What is otherwise `after`."""
    old, new = before.moment.fragments, after.moment.fragments
    return WhatIf(
        diff(before.moment, after.moment),
        status_changes(before.statuses, after.statuses),
        radius(old, new, others(old, new), others(new, old)),
    )
