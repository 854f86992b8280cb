"""The engine: folds change sets and says what each one changed. The only object with state; it never raises for input.

No I/O, no clock, no randomness: equal change sets at equal offsets give equal updates, on every machine. What a change
does to the fold and to what queries see is its room's affair, found by its kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any, Protocol

from engine.clock import Clock
from engine.events import ASKING, WATCHERS, Change, ChangeSet, Quarantine
from engine.fold import CHANGED, Fold, Said
from engine.graph.graph import Graph
from engine.holds import Holds
from engine.layers import Layers
from engine.objects import Objects
from engine.outputs.channels import FRAGMENT, INFRA, NODE, STATUS
from engine.parts import misplaced, whole
from engine.pins import Pins
from engine.placement import place_of, placed
from engine.reach import Reach
from engine.readings import Readings
from engine.ref import parse_ref
from engine.resolve.settings import EngineSettings
from engine.seal import Sealer
from engine.signers import Signers
from engine.table import Trunk
from engine.update import Delta, FragmentKey, FragmentKind, Status, Update, parse_fragment_key

__all__ = ["VERSION", "Engine", "EngineSettings"]

VERSION = "49"
"""Changes whenever the same log would give other bytes."""

_OF_THE_GATEWAY = {FragmentKind.LISTENER, FragmentKind.ROUTE_CONFIG}
"""Programmed of a Gateway waits for these: routes come and go without a Gateway's doing."""


class _Room(Protocol):
    """Where changes of some kinds are taken."""

    def take(self, change: Change, said: Said) -> list[str]: ...


class Engine:
    """Resolves one domain."""

    def __init__(self, sealer: Sealer, settings: EngineSettings | None = None) -> None:
        self.offset = -1
        given = settings or EngineSettings()
        self._trunk = Trunk()
        self._fold = Fold()
        self._readings = Readings(sealer, given)
        self._signers = Signers(self._fold, given, VERSION)
        self._holds = Holds(self._fold, self._readings, Layers(self._fold, VERSION))
        self._objects = Objects(self._fold, self._readings, self._holds, VERSION)
        self._open()

    def _open(self) -> None:
        self._clock = Clock(self._fold)
        self._pins = Pins(self._fold, self._objects, self._holds, VERSION)
        self._reach = Reach(self._fold, self._readings)
        rooms = (self._objects, self._holds, self._pins, self._reach, self._clock)
        self._rooms: dict[type[Change], _Room] = {kind: room for room in rooms for kind in room.TAKES}

    def fork(self) -> Engine:
        """An engine that begins as this one and goes its own way, at the cost of what it is told.

        What this one was told is derived first. While the fork is used nothing may be told to this one: whatever the
        fork is asked then raises StaleFork. A fork tells as changed what has changed since it was forked, and can be
        forked itself.
        """
        self._settle()
        fork: Engine = copy(self)
        fork._trunk = trunk = Trunk(self._trunk)
        fork._fold = fold = self._fold.fork(trunk)
        fork._readings = readings = self._readings.fork(trunk)
        fork._signers = self._signers.fork(fold)
        fork._holds = holds = self._holds.fork(fold, readings, Layers(fold, VERSION))
        fork._objects = self._objects.fork(fold, readings, holds, trunk)
        fork._open()
        trunk.check()
        return fork

    @property
    def graph(self) -> Graph:
        """What queries see and answered. It is asked no query while a fork is used."""
        return self._readings.main.graph

    # -- the whole --------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The whole fold state: an engine that loads it is equal to this one."""
        self._trunk.check()
        return dict(self._fold.rows)

    def load(self, state: Iterable[tuple[str, Any]], *, settle: bool = True) -> list[str]:
        """Take a fold state into an engine that is still empty; answers the warnings. `settle`: derive all now."""
        self._trunk.move()
        self._fold.load(state)
        self.offset = self._clock.offset
        self._objects.load()
        self._holds.load()
        self._reach.load()
        if settle:
            self._settle()
        return self._readings.clear()

    def everything(self) -> Update:
        """All that is wanted now, as one update with nothing removed."""
        self._settle()
        items = self._readings.items
        update = Update(
            self.offset,
            self._clock.time,
            fragments=Delta(items(FRAGMENT)),
            nodes=Delta(items(NODE)),
            statuses=Delta({key: self._status(key, value) for key, value in items(STATUS).items()}),
            infra=Delta(items(INFRA)),
            state=Delta(dict(self._fold.rows)),
            wake_at=self._wake_at(),
        )
        self._trunk.check()
        return update

    # -- one change set ---------------------------------------------------------------------------------------------

    def apply(self, change_set: ChangeSet, offset: int) -> Update:
        """Fold a change set and answer what it changed. Parts wait for the last of them."""
        if refusal := self._refusal(change_set):
            self._trunk.move()
            self.offset = offset
            return Update(offset, self._clock.time, wake_at=self._wake_at(), refusal=refusal)
        readings = self._readings
        readings.clear()
        warnings = self._take(change_set, offset)
        self._settle()
        fragments = readings.delta(FRAGMENT)
        moved = self._gateways_moved(fragments)
        statuses = readings.delta(STATUS)
        for key in statuses.removed:
            self._fold.remove(CHANGED + key)
        parts = [str(one) for gateway in moved for one in readings.listener_sets(parse_ref(gateway))]
        again = ((one, readings.item(STATUS, one)) for one in (*moved, *parts, *self._pins.moved()))
        shown = dict(statuses.set) | {one: value for one, value in again if value is not None}
        update = Update(
            offset,
            self._clock.time,
            fragments=fragments,
            nodes=readings.delta(NODE),
            statuses=Delta({key: self._status(key, shown[key]) for key in sorted(shown)}, statuses.removed),
            infra=readings.delta(INFRA),
            state=self._fold.delta(),
            wake_at=self._wake_at(),
            warnings=(*warnings, *readings.clear()),
        )
        self._trunk.check()  # A query that met a stale base took that for a failure of its own.
        return update

    def fold(self, change_set: ChangeSet, offset: int) -> list[str]:
        """Fold a change set and derive nothing yet: whoever asks next pays for all at once. Answers the warnings.

        The rows of when a Gateway's own config changed last (`CHANGED`) are not kept up: only `apply` knows. What is
        refused is passed over, as `apply` does.
        """
        if self._refusal(change_set):
            self._trunk.move()
            self.offset = offset
            return []
        return self._take(change_set, offset)

    def _refusal(self, said: ChangeSet) -> str:
        refusal = self._signers.refusal(said)
        if refusal or not said.part:
            return refusal
        return misplaced(self._fold, said, self._signers.signer(said))

    def _take(self, change_set: ChangeSet, offset: int) -> list[str]:
        self._trunk.move()
        self.offset = offset
        complete = whole(self._fold, change_set, self._signers.note(change_set))
        changes = complete.changes if complete is not None else ()
        if any(isinstance(one, Quarantine) for one in changes):
            self._settle()  # It is of what was wanted just before it.
        self._clock.move(change_set.time, offset)
        if change_set.source in WATCHERS:
            self._objects.asks(change_set.cluster, there=change_set.source in ASKING)
        told = complete or change_set
        said = Said(told.cluster, told.source, told.time, told.actor, offset)
        warnings = []
        for change in changes:
            if isinstance(change, Quarantine):
                self._objects.show_changed()  # It looks at what queries see.
            warnings += self._rooms[type(change)].take(change, said)
        self._holds.go_on([one for one in changes if isinstance(one, Quarantine)], self._settle)
        self._pins.expire(self._clock.tick)
        return warnings

    # -- derived ----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        self._objects.show_changed()
        self._readings.sync(self._pins.gateways(), self._pins.frozen)
        self._readings.settle(self._clock.tick)

    def _gateways_moved(self, fragments: Delta) -> list[str]:
        """Gateways of whose own config something changed: their Programmed waits for this offset."""
        moved = set()
        keys = [one.key for one in fragments.set.values()] + [parse_fragment_key(key) for key in fragments.removed]
        for key in keys:
            if key.kind in _OF_THE_GATEWAY:
                moved.add(str(key.gateway))
            self._placed(key, there=str(key) in fragments.set)
        told = [one for one in sorted(moved) if self._readings.item(STATUS, one) is not None]
        for gateway in told:
            self._fold.set(CHANGED + gateway, {"offset": self.offset})
        return told

    def _status(self, key: str, value: Status) -> Status:
        value = self._pins.told(key, value)
        if not value["programmed"]:
            return value
        return {**value, "programmed": {one: self._moved(one) for one in value["programmed"]}}

    def _placed(self, key: FragmentKey, *, there: bool) -> None:
        """Proxies that a Gateway comes to have in another cluster acknowledge that first."""
        name, elsewhere = place_of(key.name)
        if key.kind is not FragmentKind.ENDPOINTS or name or not elsewhere:
            return
        row = f"{CHANGED}{placed(str(key.gateway), elsewhere)}"
        if there:
            self._fold.set(row, {"offset": self.offset})
        else:
            self._fold.remove(row)

    def _moved(self, placement: str) -> int:
        rows = (self._fold.rows.get(f"{CHANGED}{one}", {}) for one in {placement, place_of(placement)[0]})
        return max(int(row.get("offset", -1)) for row in rows)

    def _wake_at(self) -> str | None:
        tick = self._clock.tick
        return min((at for at in (self._readings.next(tick), self._pins.next(tick)) if at is not None), default=None)
