"""Which objects a quarantine holds at their last good revision, and what else it keeps back.

Rows of the fold state only: it derives nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.ref import parse_ref
from engine.resolve.manifest import held_fact, withheld_fact
from engine.update import FragmentKind, parse_fragment_key

Row = dict[str, Any]


def suspected(row: Row, before: Row | None, changed_at: Callable[[str], int]) -> Row:
    """The row of a new quarantine, with the `held` of its objects where it does not hold them all.

    A route that came down from routes that delegate is of all of them: to hold them all would undo what is good of a
    parent for its other children. The one that changed last is held, the route itself when they changed together; when
    what is served then is rejected as well (`before` is the row of the same fragment), the next one too.
    """
    key = parse_fragment_key(row["fragment"])
    objects = [text for text, _ in row["objects"]]
    if key.kind is not FragmentKind.ROUTE or len(objects) <= 1:
        return row
    already = held(before) if before is not None and {text for text, _ in before["objects"]} == set(objects) else ()
    own = "/".join(key.name.split("/")[1:4])
    left = sorted(set(objects) - set(already), key=lambda one: (-changed_at(one), not one.endswith(own), one))
    return {**row, "held": [*already, *left[:1]]}


def held(row: Row) -> tuple[str, ...]:
    """The objects that a quarantine holds."""
    return tuple(row.get("held") or (text for text, _ in row["objects"]))


def holds(row: Row) -> list[str]:
    """The facts that a quarantine makes true."""
    gateway, facts = parse_ref(row["gateway"]), []
    if parse_fragment_key(row["fragment"]).kind is FragmentKind.VIRTUAL_HOST:
        facts.append(withheld_fact(row["fragment"]))
        if len(row["objects"]) > 1:
            return facts  # Routes that share a hostname pay with that hostname only.
    return facts + [held_fact(gateway, parse_ref(text)) for text in held(row)]
