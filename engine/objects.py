"""What sources say of objects, refusals and listings: in the fold, and as queries see it. It derives nothing."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any, Final

from engine.changes import from_json, to_json
from engine.document import document
from engine.events import Admitted, Change, Delete, Put, Refused, SyncBegin, SyncEnd
from engine.fold import ABSENT, ASKED, PENDING, REFUSED, RESOURCE, SYNC, Fold, Said
from engine.graph.reader import Resource
from engine.holds import Holds
from engine.models.admission import Refusal, admit
from engine.observed import GROUP as OBSERVED
from engine.reading import Reading
from engine.ref import Ref, parse_ref
from engine.refusals import Refusals
from engine.resolve.manifest import absent_fact, asked_fact


class Objects:
    """The room of puts, deletes, refusals and listings."""

    TAKES: Final = (Put, Delete, Refused, Admitted, SyncBegin, SyncEnd)

    def __init__(self, fold: Fold, reading: Reading, holds: Holds, version: str) -> None:
        """What models of another engine `version` said of an object is asked again."""
        self._fold = fold
        self._reading = reading
        self._holds = holds
        self._version = version
        self._refusals = Refusals()

    def load(self) -> None:
        """Let queries see what the fold holds."""
        self._refusals = Refusals(self._fold.under(REFUSED))
        for key, _ in self._fold.under(ABSENT):
            self._reading.state(absent_fact(parse_ref(key.removeprefix(ABSENT))), value=True)
        for key, _ in self._fold.under(ASKED):
            self._reading.state(asked_fact(key.removeprefix(ASKED)), value=True)
        for ref, row in sorted(self._fold.resources(), key=itemgetter(0)):
            self._show(ref, self._judged(ref, row))

    def take(self, change: Change, said: Said) -> list[str]:
        """Fold a change; answers the warnings."""
        match change:
            case Put(ref=ref) | Delete(ref=ref) if ref.cluster != said.cluster:
                return [f"cluster {said.cluster} cannot say anything of {ref}: ignored"]
            case Put(ref=ref) | Delete(ref=ref) if self._fold.is_syncing(ref.cluster):
                waiting = {"change": to_json(change), "time": said.time, "actor": said.actor}
                self._fold.set(f"{PENDING}{ref}", waiting)
            case Put():
                self._put(change, said)
            case Delete():
                self._delete(change)
            case Refused():
                self._refused(change, said)
            case Admitted():
                key = f"{REFUSED}{said.cluster}/{change.location}"
                self._fold.remove(key)
                self._show_again(self._refusals.remove(key))
            case SyncBegin():
                self._sync_begin(said.cluster)
            case SyncEnd():
                self._sync_end(said)
        return []

    def asks(self, cluster: str, *, there: bool) -> None:
        """Whether the source of a cluster reads some kinds only when asked."""
        self._note(ASKED + cluster, asked_fact(cluster), there=there)

    def _refused(self, change: Refused, said: Said) -> None:
        row = {
            "location": change.location,
            "ref": str(change.ref) if change.ref is not None else None,
            "message": change.message,
            "time": said.time,
        }
        key = f"{REFUSED}{said.cluster}/{change.location}"
        self._fold.set(key, row)
        self._show_again(self._refusals.put(key, row))

    def _delete(self, change: Delete) -> None:
        ref = change.ref
        self._fold.remove(f"{RESOURCE}{ref}")
        self._note(f"{ABSENT}{ref}", absent_fact(ref), there=change.was_read)
        self._holds.lift_all(ref, gone=True)
        self._reading.show(ref, None)

    def _note(self, key: str, fact: str, *, there: bool) -> None:
        """A row that says no more than that it is there, and its fact."""
        if there == (key in self._fold.rows):
            return
        if there:
            self._fold.set(key, {"noted": True})
        else:
            self._fold.remove(key)
        self._reading.state(fact, value=True if there else None)

    def _put(self, change: Put, at: Said) -> None:
        key = f"{RESOURCE}{change.ref}"
        self._note(f"{ABSENT}{change.ref}", absent_fact(change.ref), there=False)
        old = self._fold.rows.get(key)
        if old is not None:
            old = self._judged(change.ref, old)
        said = {"object": document(change.object), "offset": at.offset, "time": at.time, "actor": at.actor}
        row = self._judged(change.ref, said)
        row["previous"] = self._previous(change.ref, old, change.object)
        self._fold.set(key, row)
        if old is not None and _generation(old["object"]) != _generation(change.object):
            self._holds.lift_all(change.ref)
        self._show(change.ref, row)

    def _previous(self, ref: Ref, old: dict[str, Any] | None, new: Any) -> Any:
        """The last revision that nobody rejected, neither a proxy nor its model: of another generation than `new`."""
        if old is None:
            return None
        if _generation(old["object"]) == _generation(new) or self._holds.is_held(ref):
            # Of a revision that its model refused it is the one before it that was served, and rejected.
            return None if old["refusal"] and self._holds.is_held(ref) else old.get("previous")
        return old.get("previous") if old["refusal"] else old["object"]

    def _show(self, ref: Ref, row: dict[str, Any]) -> None:
        """Let queries see a resource: of what its model refuses the last good revision, or none but what is written."""
        metadata = row["object"].get("metadata") or {}
        refused = row["refusal"]
        served = row.get("previous") if refused else row["object"]
        resource = Resource(
            served,
            _generation(row["object"]),
            str(metadata.get("creationTimestamp", "")),
            refused or self._refusals.of(ref),
            None if refused else row.get("previous"),
            row["object"] if served is None else None,
        )
        self._reading.show(ref, resource)

    def _show_again(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            row = self._fold.rows.get(f"{RESOURCE}{ref}")
            if row is not None:
                self._show(ref, self._judged(ref, row))

    def _sync_begin(self, cluster: str) -> None:
        """What a listing said that never ended is void: its successor says all that there is."""
        self._fold.set(SYNC + cluster, {"state": "begun"})
        for key, _ in self._fold.under(f"{PENDING}{cluster}/"):
            self._fold.remove(key)

    def _sync_end(self, at: Said) -> None:
        """What came since the begin takes effect now, at once; what was served before was served all along."""
        self._fold.set(SYNC + at.cluster, {"state": "done"})
        for key, said in self._fold.under(f"{PENDING}{at.cluster}/"):
            self._fold.remove(key)
            change = from_json(said["change"])
            if isinstance(change, Put):
                self._put(change, at._replace(time=said["time"], actor=said["actor"]))
            elif isinstance(change, Delete):
                self._delete(change)

    def _judged(self, ref: Ref, row: dict[str, Any]) -> dict[str, Any]:
        """The row with what this version's models say of its objects: kept, so that a boot need not judge all again."""
        if row.get("judged") == self._version:
            return row
        if ref.group == OBSERVED:
            return {**row, "refusal": "", "judged": self._version}
        judged = admit(ref, row["object"])
        previous = row.get("previous")
        if previous is not None and isinstance(admit(ref, previous), Refusal):
            previous = None
        refusal = judged.message if isinstance(judged, Refusal) else ""
        return {**row, "refusal": refusal, "judged": self._version, "previous": previous}


def _generation(object_: Any) -> int:
    return int((object_.get("metadata") or {}).get("generation") or 0)
