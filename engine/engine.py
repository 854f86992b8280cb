"""The engine: folds change sets and says what each one changed. The only object with state; it never raises for input.

No I/O, no clock, no randomness: equal change sets at equal offsets give equal updates, on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from operator import itemgetter
from typing import Any

from engine.changes import from_json, to_json
from engine.derived import Derived
from engine.document import document
from engine.events import (
    ASKING,
    WATCHERS,
    Admitted,
    Change,
    ChangeSet,
    Delete,
    EngineChanged,
    Lift,
    Put,
    Quarantine,
    Refused,
    SyncBegin,
    SyncEnd,
    Tick,
)
from engine.fold import ABSENT, ASKED, CHANGED, CLOCK, ENGINE, PART, PENDING, QUARANTINE, REFUSED, RESOURCE, SYNC, Fold
from engine.graph.graph import Graph
from engine.graph.reader import Resource
from engine.models.admission import Refusal, admit
from engine.observed import GROUP as OBSERVED
from engine.outputs.channels import FRAGMENT, INFRA, NODE, ON_REQUEST, STATUS
from engine.quarantine import concerned, held, suspected, told
from engine.ref import Ref, parse_ref
from engine.refusals import Refusals
from engine.resolve.certificate import SEALER, passed_fact
from engine.resolve.indexes import INDEXES
from engine.resolve.manifest import absent_fact, asked_fact
from engine.resolve.settings import FACT, EngineSettings
from engine.seal import Sealer
from engine.update import Delta, FragmentKind, Status, Update, parse_fragment_key

__all__ = ["VERSION", "Engine", "EngineSettings"]

VERSION = "42"
"""Changes whenever the same log would give other bytes."""

_OF_THE_GATEWAY = {FragmentKind.LISTENER, FragmentKind.ROUTE_CONFIG}
"""Programmed of a Gateway waits for these: routes come and go without a Gateway's doing."""


class Engine:
    """Resolves one domain."""

    def __init__(self, sealer: Sealer, settings: EngineSettings | None = None) -> None:
        self.offset = -1
        self.graph = Graph(INDEXES, ON_REQUEST)
        self.graph.state_fact(FACT, settings or EngineSettings())
        self.graph.state_fact(SEALER, sealer)
        self._fold = Fold()
        self._derived = Derived(self.graph)
        self._held: dict[str, Any] = {}
        """What holds something back, by fact."""
        self._refusals = Refusals()

    # -- the whole --------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The whole fold state: an engine that loads it is equal to this one."""
        return dict(self._fold.rows)

    def load(self, state: Iterable[tuple[str, Any]]) -> list[str]:
        """Take a fold state into an engine that is still empty; answers the warnings."""
        self._fold.load(state)
        self.offset = int(self._fold.rows.get(CLOCK, {}).get("offset", -1))
        self._refusals = Refusals(self._fold.under(REFUSED))
        for key, _ in self._fold.under(ABSENT):
            self.graph.state_fact(absent_fact(parse_ref(key.removeprefix(ABSENT))), value=True)
        for key, _ in self._fold.under(ASKED):
            self.graph.state_fact(asked_fact(key.removeprefix(ASKED)), value=True)
        for ref, row in sorted(self._fold.resources(), key=itemgetter(0)):
            self._show(ref, row if row.get("judged") == VERSION else _judged(ref, row))
        self._hold()
        self._settle()
        return self._derived.clear()

    def everything(self) -> Update:
        """All that is wanted now, as one update with nothing removed."""
        self._settle()
        items = self._derived.items
        return Update(
            self.offset,
            self._time(),
            fragments=Delta(dict(items[FRAGMENT])),
            nodes=Delta(dict(items[NODE])),
            statuses=Delta({key: self._status(value) for key, value in items[STATUS].items()}),
            infra=Delta(dict(items[INFRA])),
            state=Delta(dict(self._fold.rows)),
            wake_at=self._wake_at(),
        )

    # -- one change set ---------------------------------------------------------------------------------------------

    def apply(self, change_set: ChangeSet, offset: int) -> Update:
        """Fold a change set and answer what it changed. Parts wait for the last of them."""
        self._derived.clear()
        warnings = self.fold(change_set, offset)
        self._settle()
        fragments = self._derived.delta(FRAGMENT)
        moved = self._gateways_moved(fragments)
        statuses = self._derived.delta(STATUS)
        for key in statuses.removed:
            self._fold.remove(CHANGED + key)
        shown = dict(statuses.set) | {
            gateway: self._derived.items[STATUS][gateway] for gateway in moved if gateway in self._derived.items[STATUS]
        }
        return Update(
            offset,
            self._time(),
            fragments=fragments,
            nodes=self._derived.delta(NODE),
            statuses=Delta({key: self._status(shown[key]) for key in sorted(shown)}, statuses.removed),
            infra=self._derived.delta(INFRA),
            state=self._fold.delta(),
            wake_at=self._wake_at(),
            warnings=(*warnings, *self._derived.clear()),
        )

    def fold(self, change_set: ChangeSet, offset: int) -> list[str]:
        """Fold a change set and derive nothing yet: whoever asks next pays for all at once. Answers the warnings.

        The rows of when a Gateway's own config changed last (`CHANGED`) are not kept up: only `apply` knows.
        """
        self.offset = offset
        time = max(self._time(), change_set.time)
        whole = self._whole(change_set)
        changes = whole.changes if whole is not None else ()
        if any(isinstance(one, Quarantine) for one in changes):
            self._settle()  # It is of what was wanted just before it.
        self._fold.set(CLOCK, {"time": time, "offset": offset, "tick": self._tick()})
        if change_set.source in WATCHERS:
            asks = change_set.source in ASKING
            self._note(ASKED + change_set.cluster, asked_fact(change_set.cluster), there=asks)
        return [warning for change in changes for warning in self._take(change, whole or change_set)]

    def _whole(self, change_set: ChangeSet) -> ChangeSet | None:
        """The change set, put together from its parts; None while some are missing."""
        if change_set.parts == 1:
            return change_set
        prefix = f"{PART}{change_set.cluster}~{change_set.source}~{change_set.id}/"
        self._fold.set(f"{prefix}{change_set.part:06d}", {"changes": [to_json(one) for one in change_set.changes]})
        rows = self._fold.under(prefix)
        if len(rows) < change_set.parts:
            return None
        for key, _ in rows:
            self._fold.remove(key)
        changes = tuple(from_json(one) for _, row in rows for one in row["changes"])
        return replace(change_set, changes=changes, part=0, parts=1)

    def _take(self, change: Change, change_set: ChangeSet) -> list[str]:  # noqa: C901  one case a change
        match change:
            case Put(ref=ref) | Delete(ref=ref) if ref.cluster != change_set.cluster:
                return [f"cluster {change_set.cluster} cannot say anything of {ref}: ignored"]
            case Put(ref=ref) | Delete(ref=ref) if self._fold.is_syncing(ref.cluster):
                said = {"change": to_json(change), "time": change_set.time, "actor": change_set.actor}
                self._fold.set(f"{PENDING}{ref}", said)
            case Put():
                self._put(change, change_set.time, change_set.actor)
            case Delete():
                self._delete(change)
            case Refused():
                row = {
                    "location": change.location,
                    "ref": str(change.ref) if change.ref is not None else None,
                    "message": change.message,
                    "time": change_set.time,
                }
                key = f"{REFUSED}{change_set.cluster}/{change.location}"
                self._fold.set(key, row)
                self._show_again(self._refusals.put(key, row))
            case Admitted():
                key = f"{REFUSED}{change_set.cluster}/{change.location}"
                self._fold.remove(key)
                self._show_again(self._refusals.remove(key))
            case SyncBegin():
                self._sync_begin(change_set.cluster)
            case SyncEnd():
                self._sync_end(change_set.cluster)
            case Quarantine():
                self._quarantine(change)
            case Lift():
                self._lift(f"{QUARANTINE}{change.fragment}")
            case EngineChanged():
                self._fold.set(ENGINE, {"version": change.version})
            case Tick():
                tick = max(self._tick(), change_set.time)
                self._fold.set(CLOCK, {**self._fold.rows[CLOCK], "tick": tick})
        return []

    def _delete(self, change: Delete) -> None:
        ref = change.ref
        self._fold.remove(f"{RESOURCE}{ref}")
        self._note(f"{ABSENT}{ref}", absent_fact(ref), there=change.was_read)
        self._lift_all(ref, gone=True)
        self.graph.put(ref, None)
        self._derived.watch(ref, present=False)

    def _note(self, key: str, fact: str, *, there: bool) -> None:
        """A row that says no more than that it is there, and its fact."""
        if there == (key in self._fold.rows):
            return
        if there:
            self._fold.set(key, {"noted": True})
        else:
            self._fold.remove(key)
        self.graph.state_fact(fact, value=True if there else None)

    def _put(self, change: Put, time: str, actor: str) -> None:
        key = f"{RESOURCE}{change.ref}"
        self._note(f"{ABSENT}{change.ref}", absent_fact(change.ref), there=False)
        old = self._fold.rows.get(key)
        if old is not None and old.get("judged") != VERSION:
            old = _judged(change.ref, old)
        said = {"object": document(change.object), "offset": self.offset, "time": time, "actor": actor}
        row = _judged(change.ref, said)
        row["previous"] = self._previous(change.ref, old, change.object)
        self._fold.set(key, row)
        if old is not None and _generation(old["object"]) != _generation(change.object):
            self._lift_all(change.ref)
        self._show(change.ref, row)

    def _previous(self, ref: Ref, old: dict[str, Any] | None, new: Any) -> Any:
        """The last revision that nobody rejected, neither a proxy nor its model: of another generation than `new`."""
        if old is None:
            return None
        if _generation(old["object"]) == _generation(new) or self._is_held(ref):
            # Of a revision that its model refused it is the one before it that was served, and rejected.
            return None if old["refusal"] and self._is_held(ref) else old.get("previous")
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
        self.graph.put(ref, resource)
        self._derived.watch(ref, present=True)

    def _show_again(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            row = self._fold.rows.get(f"{RESOURCE}{ref}")
            if row is not None:
                self._show(ref, row if row.get("judged") == VERSION else _judged(ref, row))

    def _sync_begin(self, cluster: str) -> None:
        """What a listing said that never ended is void: its successor says all that there is."""
        self._fold.set(SYNC + cluster, {"state": "begun"})
        for key, _ in self._fold.under(f"{PENDING}{cluster}/"):
            self._fold.remove(key)

    def _sync_end(self, cluster: str) -> None:
        """What came since the begin takes effect now, at once; what was served before was served all along."""
        self._fold.set(SYNC + cluster, {"state": "done"})
        for key, said in self._fold.under(f"{PENDING}{cluster}/"):
            self._fold.remove(key)
            change = from_json(said["change"])
            if isinstance(change, Put):
                self._put(change, said["time"], said["actor"])
            elif isinstance(change, Delete):
                self._delete(change)

    # -- quarantine -------------------------------------------------------------------------------------------------

    def _quarantine(self, change: Quarantine) -> None:
        fragment = self._derived.items[FRAGMENT].get(change.fragment)
        if fragment is None or fragment.version != change.version:
            return  # What was rejected is not what is wanted any more.
        row = {
            "gateway": str(change.gateway),
            "fragment": change.fragment,
            "version": change.version,
            "objects": [[str(ref), generation] for ref, generation in change.objects],
            "error": change.error,
            "envoy": change.envoy,
            "address": change.address,
            "offset": self.offset,
        }
        key = f"{QUARANTINE}{change.fragment}"
        self._fold.set(key, suspected(row, self._fold.rows.get(key), self._changed_at))
        self._hold()

    def _hold(self) -> None:
        """Let queries see what is held back."""
        found = told(row for _, row in self._fold.under(QUARANTINE))
        for fact in sorted(found.keys() | self._held.keys()):
            if found.get(fact) != self._held.get(fact):
                self.graph.state_fact(fact, found.get(fact))
        self._held = found

    def _changed_at(self, ref: str) -> int:
        return int(self._fold.rows.get(f"{RESOURCE}{ref}", {}).get("offset", -1))

    def _is_held(self, ref: Ref) -> bool:
        return any(str(ref) in held(row) for _, row in self._fold.under(QUARANTINE))

    def _lift_all(self, ref: Ref, *, gone: bool = False) -> None:
        """What was held because of an object; all of a Gateway that is `gone`: another of its name is another one."""
        for key, row in self._fold.under(QUARANTINE):
            if (gone and row["gateway"] == str(ref)) or str(ref) in concerned(row):
                self._lift(key)

    def _lift(self, key: str) -> None:
        if key not in self._fold.rows:
            return
        self._fold.remove(key)
        self._hold()

    # -- derived ----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Settle, let deadlines that have come pass, forget those that nothing has any more, and settle again."""
        while True:
            self._derived.settle()
            moved = self._derived.deadlines.passed(self._tick())
            if not moved:
                return
            for time, there in moved:
                self.graph.state_fact(passed_fact(time), value=True if there else None)

    def _gateways_moved(self, fragments: Delta) -> list[str]:
        """Gateways of whose own config something changed: their Programmed waits for this offset."""
        moved = set()
        keys = [one.key for one in fragments.set.values()] + [parse_fragment_key(key) for key in fragments.removed]
        for key in keys:
            if key.kind in _OF_THE_GATEWAY:
                moved.add(str(key.gateway))
        for gateway in sorted(moved):
            if gateway in self._derived.items[STATUS]:
                self._fold.set(CHANGED + gateway, {"offset": self.offset})
        return sorted(moved)

    def _status(self, value: Status) -> Status:
        if not value["programmed"]:
            return value
        offsets = {one: self._fold.rows.get(CHANGED + one, {}).get("offset", -1) for one in value["programmed"]}
        return {**value, "programmed": offsets}

    def _time(self) -> str:
        return str(self._fold.rows.get(CLOCK, {}).get("time", ""))

    def _tick(self) -> str:
        """The time of the last Tick, which alone lets deadlines pass: a source's clock may be wrong.

        A state of before version 16 does not tell it: all deadlines until its time have passed.
        """
        row = self._fold.rows.get(CLOCK, {})
        return str(row.get("tick", row.get("time", "")))

    def _wake_at(self) -> str | None:
        return self._derived.deadlines.next(self._tick())


def _generation(object_: Any) -> int:
    return int((object_.get("metadata") or {}).get("generation") or 0)


def _judged(ref: Ref, row: dict[str, Any]) -> dict[str, Any]:
    """The row with what this version's models say of its objects: kept, so that a boot need not judge all again."""
    if ref.group == OBSERVED:
        return {**row, "refusal": "", "judged": VERSION}
    judged = admit(ref, row["object"])
    previous = row.get("previous")
    if previous is not None and isinstance(admit(ref, previous), Refusal):
        previous = None
    refusal = judged.message if isinstance(judged, Refusal) else ""
    return {**row, "refusal": refusal, "judged": VERSION, "previous": previous}
