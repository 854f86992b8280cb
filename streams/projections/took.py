"""How long changes took until proxies acknowledged them: the latest few of each proxy, and their percentiles.

A list that each report moves on, kept beside the offset of the last report: what is read again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

KEPT: Final = 32
"""Acknowledgements of a proxy: its row is written anew at each of them."""
_PERCENTILES: Final = {"p50": 50, "p90": 90, "p99": 99}


def took_with(before: Any, milliseconds: Any) -> list[int]:
    """The latest times of a proxy with one more; what is no time adds none."""
    kept = [one for one in before if type(one) is int] if isinstance(before, list) else []
    return [*kept, milliseconds][-KEPT:] if type(milliseconds) is int and milliseconds >= 0 else kept


def latency(took: Iterable[int]) -> dict[str, int] | None:
    """Percentiles by nearest rank, the greatest, and of how `many`; milliseconds. None where there is nothing known."""
    found = sorted(took)
    if not found:
        return None
    ranks = {name: found[-(-len(found) * percent // 100) - 1] for name, percent in _PERCENTILES.items()}
    return {**ranks, "max": found[-1], "many": len(found)}
