"""Which rows of proxies and gateways are of no use any more; it removes none itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from engine.placement import place_of
from streams.ports import Log, Record
from streams.topics import DEPLOYER, Topic
from streams.view import read_table

NAMED: Final = 16
"""How many proxies that are gone are named of a Gateway: each pod has a name of its own, and is gone one day."""
_KIND_PARTS: Final = 3


def long_gone(rows: Mapping[str, bytes]) -> list[str]:
    """Of a gateway's rows those of proxies that have said that they go, all but the latest few.

    One that went without a word may only be cut off with its publisher: its row says what it has when both are back.
    """
    found = ((name, orjson.loads(value)) for name, value in rows.items() if not name.endswith(f"/{DEPLOYER}"))
    return [name for _, name in sorted((row["at"], name) for name, row in found if not row["connected"])[:-NAMED]]


def is_idle(row: Mapping[str, Any], proxies: Iterable[bytes]) -> bool:
    """Whether a gateway has no proxy, by its row of penstock.convergence and by those of its proxies."""
    shown = any(one["connected"] for one in row["proxies"].values())
    return not shown and not any(orjson.loads(one)["connected"] for one in proxies)


def _is_wanted(placement: str, statuses: Mapping[str, Record]) -> bool:
    gateway, elsewhere = place_of(placement)
    status = statuses.get(gateway)
    if status is None or not elsewhere:
        return status is not None
    return placement in (orjson.loads(status.value or b"{}").get("programmed") or ())


async def deleted(log: Log, partition: int, gateways: Iterable[str]) -> list[str]:
    """Which of these placements are not there any more: no status is wanted that waits for them. Raises LogError."""
    found: list[str] = []
    asked = sorted(gateways)
    for under in sorted({"/".join([*one.split("/")[:_KIND_PARTS], ""]) for one in asked}):
        table = await read_table(log, Topic.STATUS, partition, under)
        if table.progress >= 0:  # Else nothing was resolved yet: of nothing a status is wanted.
            found += [one for one in asked if one.startswith(under) and not _is_wanted(one, table.rows)]
    return found
