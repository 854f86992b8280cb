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


async def moments(log: Log, offsets: Sequence[int]) -> tuple[dict[int, str], list[float], list[float]]:
    """The digest at each offset, read as `--at` does; seconds until its state was there, then until it was derived."""
    found, reached, derived = {}, [], []
    for offset in offsets:
        began = time.perf_counter()
        engine = await engine_at(log, 0, make, offset)
        reached.append(time.perf_counter() - began)
        engine.everything()
        derived.append(time.perf_counter() - began - reached[-1])
        found[offset] = digest(engine)
    return found, reached, derived


async def folded(log: Log, offsets: Sequence[int]) -> dict[int, str]:
    """The digest at each offset by one fold from the beginning of the log."""
    engine, found, left = make(), {}, sorted(offsets)
    async for change_set, offset in read(log, 0, to=left[-1]):
        while left and offset > left[0]:
            engine.offset = left[0]
            found[left.pop(0)] = digest(engine)
        engine.fold(change_set, offset)
    found |= {one: digest(engine) for one in left}
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
    offsets = sorted(chance.randrange(end) for _ in range(_MOMENTS))
    with collector.paused():
        found, reached, derived = await moments(log, offsets)
        newest, all_ = await of_objects(log, _ROUTES)
    console.print(f"states took {', '.join(f'{one:.2f}' for one in reached)} s")
    console.print(f"and to derive {', '.join(f'{one:.2f}' for one in derived)} s")
    console.print(f"histories took {', '.join(f'{one:.2f}' for one in newest)} s")
    began = time.perf_counter()
    wanted = await folded(log, offsets)
    figures = {
        "offsets": end,
        "checkpoints": len(await marks(log, 0)),
        "state_s.p50": percentile(reached, 0.5),
        "state_s.max": max(reached),
        "derived_s.p50": percentile(derived, 0.5),
        "derived_s.max": max(derived),
        "moments_that_differ": sum(found[one] != wanted[one] for one in wanted),
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
