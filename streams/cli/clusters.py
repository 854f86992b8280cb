"""Which cluster a read command is about: objects of one name may be in several, and none of them is guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.fold import STALE
from streams.cli.output import fail


def several(there: Iterable[str], wanted: str) -> bool:
    """Whether what is shown has to say whose it is. Ends the command with 1 when the `wanted` cluster is not there."""
    found = sorted(set(there))
    if not wanted:
        return len(found) > 1
    if wanted not in found:
        fail(f"there is no cluster {wanted} in the log: it has {listed(found) or 'none'}", 1)
    return False


def one_of(what: str, clusters: Iterable[str]) -> None:
    """End the command with 2 when what it names is in several clusters."""
    found = sorted(set(clusters))
    if len(found) > 1:
        fail(f"{what} is in clusters {listed(found)}: name one with --cluster", 2)


def stale_since(state: Mapping[str, Any]) -> dict[str, str]:
    """The clusters that cannot be reached by a state of the fold, and since when."""
    return {key.removeprefix(STALE): row["since"] for key, row in sorted(state.items()) if key.startswith(STALE)}


def listed(names: Iterable[str]) -> str:
    """Names as a person lists them."""
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
