"""History of a million change sets over ten thousand objects: the state at any offset, and what became of an object.

`HISTORY_CHANGE_SETS` sets how many. `HISTORY_DATA` names a directory in which the broker's data stays: a second run
measures what the first has written.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from engine.engine import Engine
from engine.fold import CHANGED
from streams import collector
from streams.broker import Broker
from streams.checkpoints import marks
from streams.codec import dumps
from streams.history import Asked, history
from streams.kafka import KafkaLog
from streams.past import change_sets as read
from streams.past import engine_at
from streams.ports import Log
from streams.projections.checkpoints import checkpoint_if_due
from streams.projections.index import index_if_due
from streams.topics import Topic
from tests.benchmarks.history_world import change_sets, make, write
from tests.benchmarks.world import percentile

_MANY = 1_000_000
_ROUTES = 3_333
"""With a Service and a slice each, and a Gateway: ten thousand objects."""
_MOMENTS = 20
_OBJECTS = 20
_LIMIT = 50
"""What `penstock history` prints unless it is told otherwise."""
_ROUTE = ("gateway.networking.k8s.io", "HTTPRoute")
_TELL_EVERY = 50_000


async def fill(log: Log, many: int, routes: int, console: Console) -> None:
    """Append and fold; checkpoints are written when they are due, as the role `project` does."""
    began, mark, told = time.perf_counter(), None, 0
    with collector.paused():
        async for done in write(log, change_sets(many, routes)):
            mark = await checkpoint_if_due(log, "default", 0, mark)
            if done - told >= _TELL_EVERY:
                console.print(f"{done:,} change sets are written after {time.perf_counter() - began:,.0f} s")
                told = done


def digest(engine: Engine) -> str:
    """Of the whole fold state, and of the fragments that come of it."""
    rows = {name: row for name, row in engine.state().items() if not name.startswith(CHANGED)}
    hashed = blake2b(digest_size=16)
    for name in sorted(rows):
        hashed.update(name.encode() + dumps(rows[name]))
    for name, one in sorted(engine.everything().fragments.set.items()):
        hashed.update(f"{name}\0{one.version}\0{one.order}\n".encode())
    return hashed.hexdigest()


@dataclass(frozen=True, slots=True)
class Moments:
    """The digest at each offset, read as `--at` does; seconds until its state was there, then until it was derived."""

    digests: dict[int, str] = field(default_factory=dict)
    reached: list[float] = field(default_factory=list)
    reached_cpu: list[float] = field(default_factory=list)
    """Of the reader alone: on a machine that does something else, too, the clock says less."""
    derived: list[float] = field(default_factory=list)


async def moments(log: Log, offsets: Sequence[int]) -> Moments:
    """Reach each, and derive all of it."""
    found = Moments()
    for offset in offsets:
        began, worked = time.perf_counter(), time.process_time()
        engine = await engine_at(log, 0, make, offset)
        found.reached.append(time.perf_counter() - began)
        found.reached_cpu.append(time.process_time() - worked)
        engine.everything()
        found.derived.append(time.perf_counter() - began - found.reached[-1])
        found.digests[offset] = digest(engine)
    return found


async def folded(log: Log, offsets: Sequence[int], console: Console) -> dict[int, str]:
    """The digest at each offset by one fold from the beginning of the log, which stops at each of them."""
    engine, found, left = make(), dict[int, str](), sorted(offsets)
    began = time.perf_counter()

    def stop() -> None:
        engine.offset = left[0]
        found[left.pop(0)] = digest(engine)
        seconds = time.perf_counter() - began
        console.print(f"the full fold is at offset {engine.offset:,} after {seconds:,.0f} s: {len(found)} moments")

    async for change_set, offset in read(log, 0, to=left[-1]):
        while left and offset > left[0]:
            stop()
        engine.fold(change_set, offset)
    while left:
        stop()
    return found


async def of_objects(log: Log, routes: int) -> tuple[list[float], list[float]]:
    """Seconds that the history of one object took: the newest of it, as the command prints it, and all of it."""
    chance, newest, all_ = Random(2), [], []
    for _ in range(_OBJECTS):
        asked = Asked((*_ROUTE, f"r{chance.randrange(routes)}", None))
        began, many = time.perf_counter(), 0
        async for _one in history(log, 0, asked):
            many += 1
            if many == _LIMIT:
                newest.append(time.perf_counter() - began)
        all_.append(time.perf_counter() - began)
        if many < _LIMIT:
            newest.append(all_[-1])
    return newest, all_


async def _measured(log: KafkaLog, many: int, console: Console) -> dict[str, float]:
    _, end = await log.ends(Topic.CHANGES, 0)
    if not end:
        await fill(log, many, _ROUTES, console)
    began = time.perf_counter()
    await index_if_due(log, "default", 0, -1)
    console.print(f"the index is whole after {time.perf_counter() - began:,.0f} s")
    _, end = await log.ends(Topic.CHANGES, 0)
    chance = Random(1)
    offsets = sorted(chance.sample(range(end), _MOMENTS))
    with collector.paused():
        found = await moments(log, offsets)
        newest, all_ = await of_objects(log, _ROUTES)
    console.print(f"states took {', '.join(f'{one:.2f}' for one in found.reached)} s")
    console.print(f"and to derive {', '.join(f'{one:.2f}' for one in found.derived)} s")
    console.print(f"histories took {', '.join(f'{one:.2f}' for one in newest)} s")
    began = time.perf_counter()
    with collector.paused():
        wanted = await folded(log, offsets, console)
    figures = {
        "offsets": end,
        "checkpoints": len(await marks(log, 0)),
        "state_s.p50": percentile(found.reached, 0.5),
        "state_s.max": max(found.reached),
        "state_cpu_s.p50": percentile(found.reached_cpu, 0.5),
        "state_cpu_s.max": max(found.reached_cpu),
        "derived_s.p50": percentile(found.derived, 0.5),
        "derived_s.max": max(found.derived),
        "moments_compared": len(wanted),
        "moments_that_differ": sum(found.digests[one] != wanted[one] for one in wanted),
        "history_s.p50": percentile(newest, 0.5),
        "history_s.max": max(newest),
        "history_whole_s.p50": percentile(all_, 0.5),
        "history_whole_s.max": max(all_),
    }
    return figures | {"full_fold_s": time.perf_counter() - began}


async def _run(directory: Path, many: int, console: Console) -> dict[str, float]:
    broker = Broker(directory)
    try:
        log = KafkaLog(await broker.start())
        await log.create_topics()
        return await _measured(log, many, console)
    finally:
        await broker.stop()


def main() -> None:
    """Print a table."""
    console, many = Console(), int(os.environ.get("HISTORY_CHANGE_SETS", _MANY))
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        figures = asyncio.run(_run(Path(os.environ.get("HISTORY_DATA", directory)), many, console))
    table = Table("figure", "value")
    for key, value in figures.items():
        table.add_row(key, f"{value:,.3f}")
    console.print(table)


if __name__ == "__main__":
    main()
