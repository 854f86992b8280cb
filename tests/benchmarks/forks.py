"""Forks of the engine, in CPU time: to make one and tell it one change, beside telling the engine the same."""

from __future__ import annotations

import time
from statistics import median

from engine.engine import Engine
from tests.benchmarks.engine import built
from tests.benchmarks.world import edited
from tests.support.manifests import change_set

_EDITS = 100


def _milliseconds(engine: Engine, routes: int) -> tuple[float, float, float]:
    """The median to fork, to apply an edit of one route in a fork of its own, and to apply it to the engine itself."""
    found = []
    for number in range(_EDITS):
        one, at = change_set(edited(number * 7919 % routes, number + 2), number=number + 1), engine.offset + 1
        began = time.process_time()
        fork = engine.fork()
        forked = time.process_time()
        fork.apply(one, at)
        told = time.process_time()
        engine.apply(one, at)
        found.append((forked - began, told - forked, time.process_time() - told))
    made, in_fork, itself = (1e3 * median(times) for times in zip(*found, strict=True))
    return made, in_fork, itself


def run() -> dict[str, float]:
    """Keys and values for bench.json."""
    found: dict[str, float] = {}
    for size in (100, 10_000):
        engine, _ = built(size)
        made, in_fork, itself = _milliseconds(engine, size)
        found |= {
            f"fork_cpu_ms.made_{size}": made,
            f"fork_cpu_ms.one_change_{size}": in_fork,
            f"fork_cpu_ms.ratio_to_engine_{size}": in_fork / itself,
        }
    return found
