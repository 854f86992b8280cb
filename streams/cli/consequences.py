"""What would be otherwise, for people and for programs: differences, conditions, how far that reaches, limits.

It is told of change sets that nobody said yet, and of another version of the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from engine.ref import parse_ref
from streams.cli.commands.diff import Level, print_diff, section, told_diff
from streams.cli.limits import words

if TYPE_CHECKING:
    from engine.history.radius import Radius, Reach
    from engine.history.statuses import Said, StatusChange, Turned
    from engine.history.what_if import WhatIf

_SHOWN: Final = 20
"""Of each list that a person reads; all is in JSON."""


def told(found: WhatIf) -> dict[str, Any]:
    """All of it as JSON."""
    return {
        "diff": told_diff(found.diff, frozenset(Level)),
        "statuses": [_status(one) for one in found.statuses],
        "radius": {name: _reach(getattr(found.radius, name)) for name in ("hosts", "routes", "gateways")},
    }


def show(found: WhatIf, levels: frozenset[Level]) -> None:
    """All of it for a person."""
    print_diff(found.diff, levels)
    section("statuses", [line for one in found.statuses for line in _lines(one)])
    section("reach", list(_radius(found.radius)))


def show_limits(told_: Iterable[Mapping[str, Any]]) -> None:
    """Those that are exceeded."""
    section("limits", [f"  {words(one)}" for one in told_ if one["exceeded"]])


def few(lines: list[str]) -> list[str]:
    """As many as a person reads."""
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], f"  and {more} more"] if more > 0 else lines


def short(ref: str) -> str:
    """An object as a person names it, with its cluster."""
    one = parse_ref(ref)
    return "/".join(part for part in (one.kind, one.namespace, one.name) if part)


def _status(one: StatusChange) -> dict[str, Any]:
    return {"ref": one.ref, "conditions": [_turned(each) for each in one.conditions]}


def _turned(one: Turned) -> dict[str, Any]:
    return {"of": one.of, "type": one.type, "before": _said(one.before), "after": _said(one.after)}


def _said(one: Said | None) -> dict[str, str] | None:
    return one._asdict() if one is not None else None


def _reach(one: Reach) -> dict[str, Any]:
    found = {name: list(some) for name, some in asdict(one).items() if name != "of"}
    return {"of": one.of, "share": _share(one), **found}


def _share(one: Reach) -> float:
    return round((len(one.changed) + len(one.removed)) / one.of, 6) if one.of else 0.0


def _lines(one: StatusChange) -> list[str]:
    lines = [f"  {short(one.ref)}"]
    for each in one.conditions:
        of = f"{each.of}: " if each.of else ""
        lines.append(f"      {of}{each.type} {_words(each.before)} -> {_words(each.after, each.before)}")
    return few(lines)


def _words(one: Said | None, before: Said | None = None) -> str:
    if one is None:
        return "(absent)"
    is_worth = one.message and (before is not None or one.status != "True")
    return f"{one.status} {one.reason}" + (f": {one.message}" if is_worth else "")


def _radius(found: Radius) -> Iterable[str]:
    for name in ("hosts", "routes", "gateways"):
        one: Reach = getattr(found, name)
        yield (
            f"  {name}: {len(one.changed)} of {one.of} become others, {len(one.removed)} go, {len(one.added)} come "
            f"({_share(one):.1%} of what is served)"
        )
