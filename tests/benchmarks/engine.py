"""The engine alone, in CPU time: one change at two sizes in one run, and everything from the log's bytes."""

from __future__ import annotations

import time
from statistics import median

from engine.engine import Engine
from engine.seal import KEY_BYTES, Sealer
from engine.update import Update
from streams import collector
from streams.codec import decode_change_set, encode_change_set, encode_update
from streams.ports import Outgoing, Record
from tests.benchmarks.world import edited, percentile, world
from tests.support.manifests import change_set

_EDITS = 200


def _record(one: Outgoing, offset: int) -> Record:
    return Record(one.topic, one.partition, offset, one.key, one.value, one.headers, 0)


def _bytes(update: Update) -> int:
    summary = {"cluster": "c", "source": "bench", "actor": "bench", "changes": [], "engine": ""}
    return sum(1 for _ in encode_update("default", 0, update, summary))


def built(routes: int) -> tuple[Engine, float]:
    """An engine that applied the world, and the CPU seconds from the log's records to the output records."""
    records = [_record(one, number) for number, one in enumerate(encode_change_set(change_set(*world(routes))))]
    engine = Engine(Sealer(bytes(KEY_BYTES)))
    with collector.paused():
        began = time.process_time()
        for record in records:
            _bytes(engine.apply(decode_change_set(record), record.offset))
        return engine, time.process_time() - began


def per_change(engine: Engine, routes: int) -> list[float]:
    """CPU milliseconds of each of many edits of one route each, from change set to output records."""
    found = []
    for number in range(_EDITS):
        one = change_set(edited(number * 7919 % routes, number + 2), number=number + 1)
        began = time.process_time()
        _bytes(engine.apply(one, engine.offset + 1))
        found.append(1e3 * (time.process_time() - began))
    return found


def run() -> dict[str, float]:
    """Keys and values for bench.json."""
    small, _ = built(100)
    large, cold = built(10_000)
    edits = {100: per_change(small, 100), 10_000: per_change(large, 10_000)}
    middle = {size: median(values) for size, values in edits.items()}
    return {
        "engine_cpu_ms_per_change.100": middle[100],
        "engine_cpu_ms_per_change.10000": middle[10_000],
        "engine_cpu_ms_per_change.p99_10000": percentile(edits[10_000], 0.99),
        "engine_cpu_ms_per_change.ratio_10000_to_100": middle[10_000] / middle[100],
        "cold_build_s.10000": cold,
    }
