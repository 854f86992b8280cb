"""The layers of the fold: what sources observe, what rollbacks lay over it, and what pinned gateways see instead.

It derives nothing. A source compares the world with the observed layer only: with another it would undo a rollback.
"""

from __future__ import annotations

from typing import Any, Final

from engine.fold import OVERRIDE, PIN, RESOURCE, Fold
from engine.judgement import judged
from engine.models.kinds import BY_NAME
from engine.ref import Ref, parse_ref

Row = dict[str, Any]
_LIVE: Final = frozenset({"ReferenceGrant"})
"""Of the kinds of configuration, what counts as it is today: a revoked grant stays revoked."""


def is_configuration(ref: Ref) -> bool:
    """Whether the past may be served of it: of Services, endpoints, secrets, namespaces and grants today's counts."""
    return ref.group.startswith("gateway.") and ref.kind not in _LIVE and (ref.group, ref.kind) in BY_NAME


def is_of_then(ref: Ref, gateway: str) -> bool:
    """Whether a pinned Gateway sees configuration as it was: all but other Gateways, of which it reads none.

    But for its namesakes in other clusters: they take the place of its proxies there as they are today.
    """
    return ref.kind != "Gateway" or str(ref) == gateway


class Layers:
    """Rows of objects, by layer; rows of `override/` have `object` None for what was absent.

    Those of a rollback have `rejected` where proxies had rejected what its source said when that came: which revision.
    """

    def __init__(self, fold: Fold, version: str) -> None:
        self._fold = fold
        self._version = version

    def observed(self, ref: Ref) -> Row | None:
        """What its source says of an object."""
        row = self._fold.rows.get(f"{RESOURCE}{ref}")
        return judged(ref, row, self._version) if row is not None else None

    def rollback_of(self, ref: Ref) -> str:
        """The latest rollback that has an object, "" when none has it."""
        return next((key for key in self.rollbacks() if f"{OVERRIDE}{key}/{ref}" in self._fold.rows), "")

    def over(self, ref: Ref) -> Row | None:
        """What the latest rollback has of an object, None when none has it."""
        pin = self.rollback_of(ref)
        return self._taken(ref, self._fold.rows[f"{OVERRIDE}{pin}/{ref}"]) if pin else None

    def served(self, ref: Ref) -> Row | None:
        """The object for all gateways that are not pinned; None when it is not there for them."""
        over = self.over(ref)
        if over is None:
            return self.observed(ref)
        return over if over["object"] is not None else None

    def pin_of(self, ref: Ref, gateway: str) -> str | None:
        """The pin by which a Gateway sees an object as it was, None where it sees what is there now."""
        if not is_configuration(ref) or not is_of_then(ref, gateway):
            return None
        pins = (key.removeprefix(PIN) for key, row in self._fold.under(PIN) if row["gateway"] == gateway)
        return next(pins, None)

    def seen(self, ref: Ref, gateway: str) -> Row | None:
        """The object for one Gateway, which may be pinned; None when it is not there for it."""
        row = self._fold.rows.get(f"{OVERRIDE}{self.pin_of(ref, gateway)}/{ref}")
        if row is None:
            return self.served(ref)
        return self._taken(ref, row) if row["object"] is not None else None

    def forget(self, ref: Ref, gateway: str) -> bool:
        """The last good revision of what a Gateway is served was none; answers whether there was one.

        A pinned Gateway spends its own, and others spend none of a pinned one's.
        """
        row = self.seen(ref, gateway)
        if row is None or row.get("previous") is None:
            return False
        pin = self.pin_of(ref, gateway)
        if pin is None:
            self.keep(ref)
        self._fold.set(f"{OVERRIDE}{pin}/{ref}" if pin is not None else self._shared(ref), {**row, "previous": None})
        return True

    def of(self, pin: str) -> dict[Ref, Row]:
        """The rows that a pin has of its own."""
        prefix = f"{OVERRIDE}{pin}/"
        found = ((parse_ref(key.removeprefix(prefix)), row) for key, row in self._fold.under(prefix))
        return {ref: self._taken(ref, row) for ref, row in found}

    def keep(self, ref: Ref) -> None:
        """Before something changes of an object: pinned gateways go on seeing it as it is now."""
        if not is_configuration(ref):
            return
        pinned = ((key.removeprefix(PIN), row["gateway"]) for key, row in self._fold.under(PIN))
        seen = [pin for pin, gateway in pinned if gateway is not None and is_of_then(ref, gateway)]
        row = (self.served(ref) or {"object": None}) if seen else {}
        for pin in seen:
            key = f"{OVERRIDE}{pin}/{ref}"
            if key not in self._fold.rows:
                self._fold.set(key, row)

    def rollbacks(self) -> list[str]:
        """The ids of those that are in force, the latest first."""
        found = [(row["offset"], key) for key, row in self._fold.under(PIN) if row["gateway"] is None]
        return [key.removeprefix(PIN) for _, key in sorted(found, reverse=True)]

    def _shared(self, ref: Ref) -> str:
        """The key of the row that counts for all gateways that are not pinned."""
        pin = self.rollback_of(ref)
        return f"{OVERRIDE}{pin}/{ref}" if pin else f"{RESOURCE}{ref}"

    def _taken(self, ref: Ref, row: Row) -> Row:
        return judged(ref, row, self._version) if row["object"] is not None else row
