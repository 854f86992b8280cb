"""Which quarantines have outlived the Envoy that they speak of; it reads the log's state and judges no config."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import orjson

from engine.events import Lift
from engine.fold import QUARANTINE
from engine.ref import parse_ref
from streams.ports import Log
from streams.topics import Topic
from streams.view import read_table


async def lifts(log: Log, partition: int, running: Mapping[str, AbstractSet[str]]) -> list[Lift]:
    """What to lift, given the Envoy versions of each gateway's connected proxies. Raises LogError.

    While one proxy still runs the version that rejected, a quarantine stays: lifting would only bring its rejection
    again. A version that is not known, on either side, lifts nothing.
    """
    # Read when proxies come, not followed: all of the state is on that topic, and it changes with every object.
    rows = (await read_table(log, Topic.STATE, partition, under=QUARANTINE)).rows
    found = []
    for _, record in sorted(rows.items()):
        row = orjson.loads(record.value or b"{}")
        versions = running.get(row["gateway"], frozenset())
        if versions and row["envoy"] and not versions & {"", row["envoy"]}:
            found.append(Lift(parse_ref(row["gateway"]), row["fragment"]))
    return found
