"""Change sets that came in parts: they wait in the fold until the last one is there."""

from __future__ import annotations

from dataclasses import replace

from engine.changes import from_json, to_json
from engine.events import ChangeSet
from engine.fold import PART, Fold


def whole(fold: Fold, change_set: ChangeSet) -> ChangeSet | None:
    """The change set, put together from its parts; None while some are missing."""
    if change_set.parts == 1:
        return change_set
    prefix = f"{PART}{change_set.cluster}~{change_set.source}~{change_set.id}/"
    fold.set(f"{prefix}{change_set.part:06d}", {"changes": [to_json(one) for one in change_set.changes]})
    rows = fold.under(prefix)
    if len(rows) < change_set.parts:
        return None
    for key, _ in rows:
        fold.remove(key)
    changes = tuple(from_json(one) for _, row in rows for one in row["changes"])
    return replace(change_set, changes=changes, part=0, parts=1)
