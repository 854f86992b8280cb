"""The past served on purpose: pins of gateways and rollbacks of objects, in the fold and as queries see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.document import document
from engine.events import CONTROL, Change, Confirm, Override, Pin, Unpin
from engine.fold import OVERRIDE, PIN, Fold, Said
from engine.graph.reader import Resource
from engine.holds import Holds
from engine.judgement import judged, resource_of, revision_of
from engine.layers import Layers, is_configuration, is_of_then
from engine.objects import Objects
from engine.readings import PinOf
from engine.ref import Ref
from engine.status.pinned import annotated
from engine.update import Status

Row = dict[str, Any]


class Pins:
    """The room of pins, their overrides, and what ends them."""

    TAKES: Final = (Pin, Override, Confirm, Unpin)

    def __init__(self, fold: Fold, objects: Objects, holds: Holds, version: str) -> None:
        self._fold = fold
        self._objects = objects
        self._holds = holds
        self._version = version
        self._layers = Layers(fold, version)
        self._touched: set[str] = set()
        """Objects of which the status may tell something else of pins, since `moved` was asked last."""
        self._held: frozenset[str] = frozenset()
        """What was held when the rollback came that is being taken: its first override may end that for all of it."""

    def take(self, change: Change, said: Said) -> list[str]:
        """Fold a change; answers the warnings."""
        if said.source != CONTROL:
            return [f"source {said.source} cannot pin anything: ignored"]
        match change:
            case Pin():
                return self._pin(change, said)
            case Override():
                return self._override(change, said)
            case Confirm():
                row = self._fold.rows.get(PIN + change.pin)
                if row is not None and row["on_trial"]:
                    self._touch(change.pin)
                    self._fold.set(PIN + change.pin, {**row, "until": "", "on_trial": False})
            case Unpin():
                self._end(change.pin)
        return []

    def expire(self, tick: str) -> None:
        """End what a tick has come to the end of."""
        for key, row in self._fold.under(PIN):
            if row["until"] and row["until"] <= tick:
                self._end(key.removeprefix(PIN))

    def next(self, tick: str) -> str | None:
        """When the first of them ends."""
        return min((row["until"] for _, row in self._fold.under(PIN) if row["until"] > tick), default=None)

    def gateways(self) -> dict[PinOf, str]:
        """The pinned gateways, by pin."""
        rows = ((key.removeprefix(PIN), row) for key, row in self._fold.under(PIN))
        return {(pin, row["offset"]): row["gateway"] for pin, row in rows if row["gateway"]}

    def frozen(self, pin: str) -> Mapping[Ref, Resource | None]:
        """What the gateway of a pin sees otherwise than the others.

        What its source has against an object as it is written today is not of then either.
        """
        gateway = self._fold.rows[PIN + pin]["gateway"]
        today = (ref for ref in self._objects.complained() if is_configuration(ref))
        rows = {ref: self._layers.served(ref) or {"object": None} for ref in today} | self._layers.of(pin)
        return {
            ref: resource_of(row) if row["object"] is not None else None
            for ref, row in rows.items()
            if is_of_then(ref, gateway)
        }

    def told(self, name: str, status: Status) -> Status:
        """The status of an object, with what is to be said of pins."""
        mine = [pin for (pin, _), gateway in self.gateways().items() if gateway == name]
        mine += [pin for pin in self._layers.rollbacks() if f"{OVERRIDE}{pin}/{name}" in self._fold.rows]
        return annotated(status, mine[0], self._fold.rows[PIN + mine[0]]) if mine else status

    def moved(self) -> set[str]:
        """Objects of which the status is to be told again; asked once."""
        touched, self._touched = self._touched, set()
        return touched

    def _pin(self, change: Pin, said: Said) -> list[str]:
        key = PIN + change.id
        if not change.id or "/" in change.id:
            return [f"{change.id!r} names no pin: ignored"]
        if key in self._fold.rows:
            return []
        gateway = str(change.gateway) if change.gateway is not None else None
        if gateway is not None:
            for (other, _), of in self.gateways().items():
                if of == gateway:
                    self._end(other)
            self._holds.lift_of(gateway)
            self._touched.add(gateway)
        else:
            self._held = self._holds.unpinned()
        row = {
            "gateway": gateway,
            "to": change.to,
            "reason": change.reason,
            "actor": said.actor,
            "time": said.time,
            "until": change.until,
            "on_trial": change.on_trial,
            "offset": said.offset,
        }
        self._fold.set(key, row)
        return []

    def _override(self, change: Override, said: Said) -> list[str]:
        pin = self._fold.rows.get(PIN + change.pin)
        if pin is None or pin["offset"] != said.offset:
            return [f"{change.ref} is overridden without a pin of its own: ignored"]
        if not is_configuration(change.ref):
            return [f"{change.ref} is not configuration: ignored, it counts as it is today"]
        row: Row = {"object": None}
        if change.object is not None:
            previous = document(change.previous) if change.previous is not None else None
            row |= {"object": document(change.object), "previous": previous}
            row |= {"offset": said.offset, "time": said.time, "actor": said.actor}
            row = judged(change.ref, row, self._version)
        if pin["gateway"] is None:
            row |= self._beneath(change.ref)
            self._layers.keep(change.ref)
        self._fold.set(f"{OVERRIDE}{change.pin}/{change.ref}", row)
        if pin["gateway"] is None:
            self._shown_otherwise(change.ref)
        return []

    def _beneath(self, ref: Ref) -> Row:
        """What a rollback notes of the revision beneath it: that it was rejected, which nothing else tells then."""
        over, observed = self._layers.over(ref), self._layers.observed(ref)
        if over is not None:
            return {"rejected": over["rejected"]} if "rejected" in over else {}
        return {"rejected": revision_of(observed["object"])} if observed is not None and str(ref) in self._held else {}

    def _end(self, pin: str) -> None:
        if PIN + pin not in self._fold.rows:
            return
        gateway = self._fold.rows[PIN + pin]["gateway"]
        self._touch(pin)
        refs = list(self._layers.of(pin))
        if gateway is None:
            for ref in refs:
                self._layers.keep(ref)
        self._fold.remove(PIN + pin)
        for ref in refs:
            self._fold.remove(f"{OVERRIDE}{pin}/{ref}")
        if gateway is not None:
            self._holds.lift_of(gateway)
            return
        for ref in refs:
            self._shown_otherwise(ref)

    def _shown_otherwise(self, ref: Ref) -> None:
        self._touched.add(str(ref))
        self._holds.lift_all(ref, gone=self._layers.served(ref) is None)
        self._objects.show(ref)

    def _touch(self, pin: str) -> None:
        gateway = self._fold.rows[PIN + pin]["gateway"]
        self._touched |= {gateway} if gateway is not None else {str(ref) for ref in self._layers.of(pin)}
