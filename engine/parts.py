"""Change sets that came in parts: they wait in the fold until the last one is there.

Each comes after the one before it, said by the same signer: who could not say all of a change set says nothing of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.changes import from_json, to_json
from engine.events import WATCHERS, ChangeSet
from engine.fold import PART, Fold


def misplaced(fold: Fold, said: ChangeSet, signer: str | None) -> str:
    """Why a part cannot be put together with those before it; "" when it can.

    `signer` is the key whose signature of it counts, "" for none; None where nobody looks at signatures.
    """
    if said.part == 0:
        return ""
    # The one before has its own before it; but an engine before 47 took them in any order.
    is_last = said.part + 1 == said.parts
    wanted = range(said.part) if is_last else (said.part - 1,)
    if all(_fits(fold.rows.get(_row(said, number)), said, signer) for number in wanted):
        return ""
    return (
        f"part {said.part + 1} of {said.parts} of a change set of source {said.source[:100]!r} of cluster "
        f"{said.cluster[:100]!r} does not come after the one before it, of the same signer: say all of it again"
    )


def whole(fold: Fold, said: ChangeSet, signer: str | None) -> ChangeSet | None:
    """The change set, put together from its parts, of which none is `misplaced`; None while some are missing."""
    if said.parts == 1:
        return said
    if said.part == 0:
        _begin(fold, said)
    row = {"changes": [to_json(one) for one in said.changes], "parts": said.parts}
    fold.set(_row(said, said.part), {**row, "signer": signer} if signer else row)
    if said.part + 1 < said.parts:
        return None
    changes = []
    for number in range(said.parts):
        key = _row(said, number)
        changes += [from_json(one) for one in fold.rows[key]["changes"]]
        fold.remove(key)
    return replace(said, changes=tuple(changes), part=0, parts=1)


def _begin(fold: Fold, said: ChangeSet) -> None:
    """Drop what nobody is going to complete: a watcher says one thing after the other, commands say it side by side."""
    name = "" if said.source in WATCHERS else f"{said.id}/"
    for key, _ in fold.under(f"{PART}{said.cluster}~{said.source}~{name}"):
        fold.remove(key)


def _fits(before: dict[str, Any] | None, said: ChangeSet, signer: str | None) -> bool:
    if before is None or before.get("parts", said.parts) != said.parts:
        return False
    return signer is None or before.get("signer", "") == signer


def _row(said: ChangeSet, number: int) -> str:
    return f"{PART}{said.cluster}~{said.source}~{said.id}/{number:06d}"
