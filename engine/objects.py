"""What sources say of objects, refusals and listings: in the fold, and as queries see it. It derives nothing."""

from __future__ import annotations

from typing import Any, Final

from engine.changes import from_json, to_json
from engine.document import document
from engine.events import Admitted, Change, Delete, Put, Refused, SyncBegin, SyncEnd
from engine.fold import ABSENT, ASKED, OVERRIDE, PENDING, REFUSED, RESOURCE, SYNC, Fold, Said
from engine.holds import Holds
from engine.judgement import generation_of, judged, resource_of, revision_of
from engine.layers import Layers
from engine.readings import Readings
from engine.ref import Ref, parse_ref
from engine.refusals import Refusals
from engine.resolve.manifest import absent_fact, asked_fact
from engine.table import Trunk


class Objects:
    """The room of puts, deletes, refusals and listings."""

    TAKES: Final = (Put, Delete, Refused, Admitted, SyncBegin, SyncEnd)

    def __init__(self, fold: Fold, readings: Readings, holds: Holds, version: str) -> None:
        """What models of another engine `version` said of an object is asked again."""
        self._fold = fold
        self._readings = readings
        self._layers = Layers(fold, version)
        self._holds = holds
        self._version = version
        self._refusals = Refusals()
        self._unseen: set[Ref] = set()
        """Objects that are served otherwise than queries see them."""

    def fork(self, fold: Fold, readings: Readings, holds: Holds, trunk: Trunk) -> Objects:
        """The room of a fork; all is shown by now."""
        fork = Objects(fold, readings, holds, self._version)
        fork._refusals = self._refusals.fork(trunk)
        return fork

    def load(self) -> None:
        """Let queries see what the fold holds, when they are asked next."""
        self._refusals = Refusals(self._fold.under(REFUSED))
        for key, _ in self._fold.under(ABSENT):
            self._readings.state(absent_fact(parse_ref(key.removeprefix(ABSENT))), value=True)
        for key, _ in self._fold.under(ASKED):
            self._readings.state(asked_fact(key.removeprefix(ASKED)), value=True)
        self._unseen.update(ref for ref, _ in self._fold.resources())
        self._unseen.update(parse_ref(key.split("/", 2)[2]) for key, _ in self._fold.under(OVERRIDE))

    def take(self, change: Change, said: Said) -> list[str]:
        """Fold a change; answers the warnings."""
        match change:
            case Put(ref=Ref() as ref) | Delete(ref=Ref() as ref) | Refused(ref=Ref() as ref) if (
                ref.cluster != said.cluster
            ):
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
                self._unseen |= self._refusals.remove(key)
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
        self._unseen |= self._refusals.put(key, row)

    def complained(self) -> list[Ref]:
        """Objects that their sources could not take as they are written."""
        return self._refusals.refs()

    def show(self, ref: Ref) -> None:
        """Let queries see an object as it is served when they are asked next."""
        self._unseen.add(ref)

    def show_changed(self) -> None:
        """Let queries see all of it now: once, however often an object has changed. Indexing it is half of a fold."""
        for ref in sorted(self._unseen):
            row = self._layers.served(ref)
            self._readings.show(ref, None if row is None else resource_of(row, self._refusals.of(ref)))
        self._unseen.clear()

    def _delete(self, change: Delete) -> None:
        ref = change.ref
        self._layers.keep(ref)
        self._fold.remove(f"{RESOURCE}{ref}")
        self._note(f"{ABSENT}{ref}", absent_fact(ref), there=change.was_read)
        if self._layers.over(ref) is None:
            self._holds.lift_all(ref, gone=True)
        self.show(ref)

    def _note(self, key: str, fact: str, *, there: bool) -> None:
        """A row that says no more than that it is there, and its fact."""
        if there == (key in self._fold.rows):
            return
        if there:
            self._fold.set(key, {"noted": True})
        else:
            self._fold.remove(key)
        self._readings.state(fact, value=True if there else None)

    def _put(self, change: Put, at: Said) -> None:
        key = f"{RESOURCE}{change.ref}"
        self._note(f"{ABSENT}{change.ref}", absent_fact(change.ref), there=False)
        self._layers.keep(change.ref)
        old = self._layers.observed(change.ref)
        said = {"object": document(change.object), "offset": at.offset, "time": at.time, "actor": at.actor}
        row = judged(change.ref, said, self._version)
        row["previous"] = self._previous(change.ref, old, change.object)
        self._fold.set(key, row)
        is_edited = old is not None and generation_of(old["object"]) != generation_of(change.object)
        if is_edited and self._layers.over(change.ref) is None:
            self._holds.lift_all(change.ref)
        self.show(change.ref)

    def _previous(self, ref: Ref, old: dict[str, Any] | None, new: Any) -> Any:
        """The last revision that nobody rejected, neither a proxy nor its model: of another generation than `new`."""
        if old is None:
            return None
        # Of what a rollback lies over only what came before it was rejected: what is held is what the rollback has.
        over = self._layers.over(ref)
        is_bad = self._holds.is_held(ref) if over is None else over.get("rejected") == revision_of(old["object"])
        if generation_of(old["object"]) == generation_of(new) or is_bad:
            # Of a revision that its model refused it is the one before it that was served, and rejected.
            return None if old["refusal"] and is_bad else old.get("previous")
        return old.get("previous") if old["refusal"] else old["object"]

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
