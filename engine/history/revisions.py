"""Which revision of an object a Gateway is served, and why where it is not the one that is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from engine.fold import OVERRIDE, PIN, QUARANTINE, RESOURCE, Fold
from engine.layers import Layers, Row, is_of_then
from engine.quarantine import holds
from engine.ref import Ref, parse_ref
from engine.resolve.manifest import held_fact

_ROOMS: Final = (RESOURCE, OVERRIDE, PIN, QUARANTINE)


class Revision(NamedTuple):
    """What is served of an object: `object`, None for nothing, of the `row` that counts for a Gateway.

    `pin` is the pin or rollback whose row that is, "" for the source's. `held`: what stands against the object of that
    row, "" for nothing; `object` is then its last good revision. `since` is the offset that a quarantine is of.
    """

    object: Any
    row: Row | None
    pin: str = ""
    held: str = ""
    since: int | None = None


class Revisions:
    """Those of one moment, by the rows of its fold state."""

    def __init__(self, rows: Iterable[tuple[str, Any]], version: str) -> None:
        self._fold = Fold()
        self._fold.load((key, row) for key, row in rows if key.startswith(_ROOMS))
        self._layers = Layers(self._fold, version)

    def written(self, ref: Ref) -> Row | None:
        """The row of what its source says; None for nothing."""
        return self._layers.observed(ref)

    def pin(self, pin: str) -> Row:
        """The row of a pin or a rollback."""
        return self._fold.rows[PIN + pin]

    def pins(self, ref: Ref) -> list[str]:
        """The pins of Gateways that have an object of their own."""
        found = (key.removeprefix(PIN) for key, row in self._fold.under(PIN) if row["gateway"] is not None)
        return [pin for pin in found if f"{OVERRIDE}{pin}/{ref}" in self._fold.rows]

    def of_all(self, ref: Ref) -> Revision:
        """What those Gateways are served that are neither pinned nor have rejected it."""
        pin = self._layers.rollback_of(ref)
        return _unheld(self._layers.over(ref) if pin else self._layers.observed(ref), pin)

    def of(self, ref: Ref, gateway: Ref) -> Revision:
        """What one Gateway is served."""
        pin = next((one for one in self.pins(ref) if self.pin(one)["gateway"] == str(gateway)), "")
        found = self.of_all(ref)
        if pin and is_of_then(ref, str(gateway)):
            found = _unheld(self._layers.of(pin)[ref], pin)
        hold = self._hold(ref, gateway)
        if hold is None or found.row is None or found.object is None or found.held:
            return found
        return found._replace(object=found.row.get("previous"), held=hold["error"] or "rejected", since=hold["offset"])

    def _hold(self, ref: Ref, gateway: Ref) -> Row | None:
        """The quarantine because of which a Gateway is served an object as it was before."""
        fact = held_fact(gateway, ref)
        rows = (row for _, row in self._fold.under(QUARANTINE) if parse_ref(row["gateway"]) == gateway)
        return next((row for row in rows if fact in holds(row)), None)


def _unheld(row: Row | None, pin: str) -> Revision:
    if row is None or row["object"] is None or not row["refusal"]:
        return Revision(None if row is None else row["object"], row, pin)
    return Revision(row.get("previous"), row, pin, row["refusal"])
