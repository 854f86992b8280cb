"""Voices: sources that are the control plane's own, and what each may say; any other one speaks for its cluster."""

from __future__ import annotations

from typing import Final

from engine.events import (
    CONTROL,
    Change,
    Confirm,
    EngineChanged,
    Lift,
    Override,
    Pin,
    Quarantine,
    Tick,
    Unpin,
)

ROOT: Final = ""
"""Stands for a trusted key that signs for every voice, and for the configuration cluster."""

VOICES: Final = frozenset({CONTROL, "clock", "publisher", "resolver", "broker"})
"""The sources that are the control plane's own."""

SAYS: Final[dict[type[Change], frozenset[str]]] = {
    Quarantine: frozenset({"publisher"}),
    Lift: frozenset({"publisher", CONTROL}),
    Tick: frozenset({"clock"}),
    EngineChanged: frozenset({"resolver"}),
    Pin: frozenset({CONTROL}),
    Override: frozenset({CONTROL}),
    Confirm: frozenset({CONTROL}),
    Unpin: frozenset({CONTROL}),
}
"""Which voices say a change; one that is not here is said of a cluster, by that cluster's sources."""


def says(source: str, change: Change) -> bool:
    """Whether such a source may say it at all."""
    allowed = SAYS.get(type(change))
    return source in allowed if allowed is not None else source not in VOICES
