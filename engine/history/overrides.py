"""What must be overridden for the past to be served: the configuration of two moments compared. It decides no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.events import Override
from engine.fold import OVERRIDE, PIN, Fold
from engine.layers import Layers, is_configuration
from engine.ref import Ref, parse_ref

Configuration = Mapping[Ref, Mapping[str, Any]]
"""Objects of configuration as they are served: `object`, and `previous` that nobody rejected."""


def configuration(
    rows: Iterable[tuple[str, Any]], version: str, gateway: Ref | None = None
) -> dict[Ref, Mapping[str, Any]]:
    """Of a fold state, all gateways' or what one of them sees, which may be pinned; as an engine version judges it."""
    fold = Fold()
    fold.load(rows)
    layers = Layers(fold, version)
    refs = {ref for ref, _ in fold.resources()} | {parse_ref(key.split("/", 2)[2]) for key, _ in fold.under(OVERRIDE)}
    found = {ref: layers.served(ref) for ref in refs if is_configuration(ref)}
    for key, pin in fold.under(PIN):
        if gateway is not None and pin["gateway"] == str(gateway):
            found |= layers.of(key.removeprefix(PIN))
    return {ref: row for ref, row in sorted(found.items()) if row is not None and row["object"] is not None}


def overrides(pin: str, then: Configuration, now: Configuration, takes: Callable[[Ref], bool]) -> tuple[Override, ...]:
    """What of the objects that it `takes` is not now as it was then, sorted."""
    found = []
    for ref in sorted(then.keys() | now.keys()):
        old, new = then.get(ref), now.get(ref)
        if not takes(ref) or (old or {}).get("object") == (new or {}).get("object"):
            continue
        found.append(Override(pin, ref, old["object"], old.get("previous")) if old else Override(pin, ref, None))
    return tuple(found)
