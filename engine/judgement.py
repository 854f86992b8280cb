"""What this version's models say of the objects in a row of the fold state; it keeps none."""

from __future__ import annotations

from typing import Any

from engine.graph.reader import Resource
from engine.models.admission import Refusal, admit
from engine.observed import is_observed
from engine.ref import Ref


def judged(ref: Ref, row: dict[str, Any], version: str) -> dict[str, Any]:
    """The row with its refusal ("" for none): kept, so that a boot with the same engine need not judge all again."""
    if row.get("judged") == version:
        return row
    if is_observed(ref):
        return {**row, "refusal": "", "judged": version}
    found = admit(ref, row["object"])
    previous = row.get("previous")
    if previous is not None and isinstance(admit(ref, previous), Refusal):
        previous = None
    refusal = found.message if isinstance(found, Refusal) else ""
    return {**row, "refusal": refusal, "judged": version, "previous": previous}


def resource_of(row: dict[str, Any], complaint: str = "") -> Resource:
    """What queries see: of what its model refuses the last good revision, or none but what is written.

    `complaint` is what its source has against the object as it is written now.
    """
    metadata = row["object"].get("metadata") or {}
    refused = row["refusal"]
    served = row.get("previous") if refused else row["object"]
    return Resource(
        served,
        generation_of(row["object"]),
        str(metadata.get("creationTimestamp", "")),
        refused or complaint,
        None if refused else row.get("previous"),
        row["object"] if served is None else None,
    )


def revision_of(object_: Any) -> list[Any]:
    """What names a revision of an object: one that comes anew under its name counts its generations anew."""
    return [str((object_.get("metadata") or {}).get("creationTimestamp", "")), generation_of(object_)]


def generation_of(object_: Any) -> int:
    """metadata.generation, 0 without one."""
    return int((object_.get("metadata") or {}).get("generation") or 0)
