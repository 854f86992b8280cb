"""Which quarantines have outlived the Envoy or the address that they speak of; it judges no config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import orjson

from engine.events import Lift
from engine.fold import QUARANTINE
from engine.ref import parse_ref
from engine.update import FragmentKind, parse_fragment_key
from streams.ports import Log
from streams.topics import Topic
from streams.view import read_table

Row = Mapping[str, Any]


class Quarantines(NamedTuple):
    """The quarantines by the fragments that they are of, and the offset up to which that is all of them."""

    rows: dict[str, Row]
    offset: int


async def quarantines(log: Log, partition: int) -> Quarantines:
    """Those in force. Raises LogError."""
    # Read when proxies come, not followed: all of the state is on that topic, and it changes with every object.
    table = await read_table(log, Topic.STATE, partition, under=QUARANTINE)
    rows = (orjson.loads(record.value or b"{}") for _, record in sorted(table.rows.items()))
    return Quarantines({row["fragment"]: row for row in rows}, table.progress)


def lifts(rows: Iterable[Row], running: Mapping[str, AbstractSet[str]], address: str = "") -> list[Lift]:
    """What to lift, given the Envoy versions of each gateway's connected proxies, and where listeners are bound.

    While one proxy still runs the version that rejected, a quarantine stays: lifting would only bring its rejection
    again. A version or an address that is not known, on either side, lifts nothing.
    """
    found = []
    for row in rows:
        versions = running.get(row["gateway"], frozenset())
        is_gone = row["envoy"] and not versions & {"", row["envoy"]}
        if versions and (is_gone or _has_moved(row, address)):
            found.append(Lift(parse_ref(row["gateway"]), row["fragment"], row["envoy"]))
    return found


def _has_moved(row: Mapping[str, Any], address: str) -> bool:
    """Whether it is of a listener that is bound elsewhere now."""
    noted = row.get("address", "")
    is_listener = parse_fragment_key(row["fragment"]).kind is FragmentKind.LISTENER
    return bool(is_listener and address and noted and address != noted)
