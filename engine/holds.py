"""What proxies rejected, held back until it is mended: quarantines in the fold, and as queries see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from engine.events import Change, Lift, Quarantine
from engine.fold import PIN, QUARANTINE, Fold, Said
from engine.judgement import resource_of
from engine.layers import Layers, is_configuration
from engine.outputs.channels import FRAGMENT
from engine.quarantine import edited, ends, goes_on, held, is_exhausted, is_of_a_route, suspected, told, without_idle
from engine.readings import Readings
from engine.ref import Ref, parse_ref


class Holds:
    """The room of quarantines and what lifts them."""

    TAKES: Final = (Quarantine, Lift)

    def __init__(self, fold: Fold, readings: Readings, layers: Layers) -> None:
        self._fold = fold
        self._readings = readings
        self._layers = layers
        self._held: dict[str, Any] = {}
        """What holds something back, by fact."""

    def fork(self, fold: Fold, readings: Readings, layers: Layers) -> Holds:
        """The room of a fork."""
        fork = Holds(fold, readings, layers)
        fork._held = self._held  # `load` makes another, and changes none.
        return fork

    def load(self) -> None:
        """Let queries see what is held back."""
        found = told(row for _, row in self._fold.under(QUARANTINE))
        for fact in sorted(found.keys() | self._held.keys()):
            if found.get(fact) != self._held.get(fact):
                self._readings.state(fact, found.get(fact))
        self._held = found

    def take(self, change: Change, said: Said) -> list[str]:
        """Fold a change; answers the warnings. All that was wanted before a Quarantine must be settled."""
        match change:
            case Quarantine():
                self._quarantine(change, said.offset)
            case Lift() if ends(change, self._fold.rows.get(f"{QUARANTINE}{change.fragment}")):
                self._lift(f"{QUARANTINE}{change.fragment}")
        return []

    def is_held(self, ref: Ref) -> bool:
        """Whether a quarantine holds an object."""
        return any(str(ref) in held(row) for _, row in self._concerning(ref))

    def unpinned(self) -> frozenset[str]:
        """The objects that quarantines hold, but for those of pinned Gateways."""
        return frozenset(text for _, row in self._unpinned() for text in held(row))

    def lift_all(self, ref: Ref, *, gone: bool = False) -> None:
        """What was held because of an object; all of a Gateway that is `gone`: another of its name is another one."""
        for key, row in self._concerning(ref):
            left = None if gone and row["gateway"] == str(ref) else edited(row, str(ref))
            if left is None:
                self._lift(key)
            elif left is not row:
                self._set(key, left)

    def lift_of(self, gateway: str) -> None:
        """What was held of a Gateway: another moment of it is served now."""
        for key, row in self._fold.under(QUARANTINE):
            if row["gateway"] == gateway:
                self._lift(key)

    def _concerning(self, ref: Ref) -> list[tuple[str, dict[str, Any]]]:
        """The quarantines that what is said of an object may touch: a pinned Gateway goes on seeing what it sees."""
        return self._unpinned() if is_configuration(ref) else self._fold.under(QUARANTINE)

    def _unpinned(self) -> list[tuple[str, dict[str, Any]]]:
        rows = self._fold.under(QUARANTINE)
        pinned = {row["gateway"] for _, row in self._fold.under(PIN)} if rows else set()
        return [(key, row) for key, row in rows if row["gateway"] not in pinned]

    def _quarantine(self, change: Quarantine, offset: int) -> None:
        fragment = self._readings.item(FRAGMENT, change.fragment)
        if fragment is None or fragment.version != change.version:
            return  # What was rejected is not what is wanted any more.
        gateway = str(change.gateway)
        row = {
            "gateway": gateway,
            "fragment": change.fragment,
            "version": change.version,
            "objects": [[str(ref), generation] for ref, generation in change.objects],
            "error": change.error,
            "envoy": change.envoy,
            "address": change.address,
            "offset": offset,
        }
        key = f"{QUARANTINE}{change.fragment}"
        changed_at = partial(self._changed_at, gateway)
        before, now = self._fold.rows.get(key), suspected(row, self._fold.rows.get(key), changed_at)
        if before is not None and is_exhausted(now, before):
            self._forget(gateway, sorted(held(now), key=changed_at))
        self._set(key, now)

    def go_on(self, changes: Sequence[Quarantine], settle: Callable[[], None]) -> None:
        """Hold more while what new quarantines hold makes no difference; `settle` derives what is wanted now.

        What made none alone is let go of again, unless it makes one together with the last. So is all that one of a
        route holds in vain, where another one makes the difference meanwhile.
        """
        in_vain = {one.fragment: one for one in changes if self._is_wanted(one, settle)}
        for fragment, change in in_vain.items():
            row = self._fold.rows.get(f"{QUARANTINE}{fragment}")
            if row is None or row["version"] != change.version:
                continue
            if self._is_wanted(change, settle):
                self._go_on(change, row, settle)
            elif is_of_a_route(row):
                self._lift(f"{QUARANTINE}{fragment}")

    def _go_on(self, change: Quarantine, first: dict[str, Any], settle: Callable[[], None]) -> None:
        key, tried = f"{QUARANTINE}{change.fragment}", first
        changed_at = partial(self._changed_at, first["gateway"])
        while self._is_wanted(change, settle) and (more := goes_on(tried, changed_at)) is not None:
            tried = more
            self._set(key, tried)
        if len(held(tried)) > len(held(first)) and not self._is_wanted(change, settle):
            self._set(key, without_idle(tried, first))
            if self._is_wanted(change, settle):
                self._set(key, tried)
        if is_of_a_route(first) and self._is_wanted(change, settle):
            self._set(key, first)  # Nothing makes a difference: nobody pays for having been asked.

    def _is_wanted(self, change: Quarantine, settle: Callable[[], None]) -> bool:
        settle()
        fragment = self._readings.item(FRAGMENT, change.fragment)
        return fragment is not None and fragment.version == change.version

    def _set(self, key: str, row: dict[str, Any]) -> None:
        self._fold.set(key, row)
        self.load()

    def _forget(self, gateway: str, refs: list[str]) -> None:
        """What these fall back to is rejected as well: it is no good revision. Of the one that changed last first."""
        for ref in map(parse_ref, reversed(refs)):
            if self._layers.forget(ref, gateway):
                # Of one that its model refuses now nothing is left: what was served was its last good revision.
                self._show(ref, gateway)
                return

    def _show(self, ref: Ref, gateway: str) -> None:
        row = self._layers.seen(ref, gateway)
        if self._layers.pin_of(ref, gateway) is not None:
            self._readings.show_pinned(gateway, ref, None if row is None else resource_of(row))
            return
        before = self._readings.main.graph.resource(ref)
        complaint = before.refusal if before is not None else ""
        self._readings.show(ref, None if row is None else resource_of(row, complaint))

    def _changed_at(self, gateway: str, ref: str) -> int:
        """When an object changed last as a Gateway is served it."""
        row = self._layers.seen(parse_ref(ref), gateway)
        return int(row.get("offset", -1)) if row is not None else -1

    def _lift(self, key: str) -> None:
        if key not in self._fold.rows:
            return
        self._fold.remove(key)
        self.load()
