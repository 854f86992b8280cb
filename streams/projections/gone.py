"""Which rows of proxies and gateways are of no use any more; it removes none itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from engine.placement import place_of
from streams.ports import Log, Record
from streams.topics import DEPLOYER, Topic
from streams.view import Batch, read_table

NAMED: Final = 16
"""How many proxies that are gone are named of a Gateway: each pod has a name of its own, and is gone one day."""
_KIND_PARTS: Final = 3
_GATEWAY: Final = ["gateway.networking.k8s.io", "Gateway"]


def long_gone(rows: Mapping[str, bytes]) -> list[str]:
    """Of a gateway's rows those of proxies that have said that they go, all but the latest few.

    One that went without a word may only be cut off with its publisher: its row says what it has when both are back.
    """
    found = ((name, orjson.loads(value)) for name, value in rows.items() if not _is_deployers(name))
    return [name for _, name in sorted((row["at"], name) for name, row in found if not row["connected"])[:-NAMED]]


def ended(rows: Mapping[str, bytes]) -> list[str]:
    """Of a deleted gateway's rows those of which nobody says any more that they are connected.

    Why it cannot be deployed a deployer says once, and takes it back: it may be of one whose status is still to come.
    """
    found = ((name, orjson.loads(value)) for name, value in rows.items())
    return [name for name, row in found if not row["connected"] and not (_is_deployers(name) and row["error"])]


def _is_deployers(name: str) -> bool:
    return name.endswith(f"/{DEPLOYER}")


def _programmed(status: Record) -> frozenset[str]:
    try:
        return frozenset(orjson.loads(status.value or b"{}").get("programmed") or ())
    except (ValueError, TypeError, AttributeError):
        return frozenset()  # Somebody else wrote there: the Gateway is there, and no more is known.


class Placements:
    """Which placements are there, by the statuses of Gateways; before anything is known all of them."""

    def __init__(self) -> None:
        self._programmed: dict[str, frozenset[str]] | None = None
        """Of each Gateway that has a status the placements that it waits for."""

    def is_there(self, placement: str) -> bool:
        """Whether a status is wanted that waits for it."""
        gateway, elsewhere = place_of(placement)
        if self._programmed is None:
            return True
        found = self._programmed.get(gateway)
        return found is not None and (not elsewhere or placement in found)

    def take(self, batch: Batch) -> set[str]:
        """Take statuses as they change; answers the placements that came or went by that."""
        if batch.progress < 0:
            return set()  # Nothing was resolved yet: of nothing a status is wanted.
        known = self._programmed or {}
        names = {name for name in batch.rows if name.split("/")[1:_KIND_PARTS] == _GATEWAY}
        names |= known.keys() if batch.snapshot else set()
        before = {name: _places(name, known.get(name)) for name in names}
        self._programmed = {} if batch.snapshot else known
        for name in names:
            self._programmed.pop(name, None)
            if (record := batch.rows.get(name)) is not None:
                self._programmed[name] = _programmed(record)
        return {one for name in names for one in before[name] ^ _places(name, self._programmed.get(name))}


def _places(gateway: str, programmed: frozenset[str] | None) -> frozenset[str]:
    return frozenset() if programmed is None else programmed | {gateway}


def is_idle(row: Mapping[str, Any], proxies: Iterable[bytes]) -> bool:
    """Whether a gateway has no proxy, by its row of penstock.convergence and by those of its proxies."""
    shown = any(one["connected"] for one in row["proxies"].values())
    return not shown and not any(orjson.loads(one)["connected"] for one in proxies)


def _is_wanted(placement: str, statuses: Mapping[str, Record]) -> bool:
    gateway, elsewhere = place_of(placement)
    status = statuses.get(gateway)
    return status is not None and (not elsewhere or placement in _programmed(status))


async def deleted(log: Log, partition: int, gateways: Iterable[str]) -> list[str]:
    """Which of these placements are not there any more: no status is wanted that waits for them. Raises LogError."""
    found: list[str] = []
    asked = sorted(gateways)
    for under in sorted({"/".join([*one.split("/")[:_KIND_PARTS], ""]) for one in asked}):
        table = await read_table(log, Topic.STATUS, partition, under)
        if table.progress >= 0:  # Else nothing was resolved yet: of nothing a status is wanted.
            found += [one for one in asked if one.startswith(under) and not _is_wanted(one, table.rows)]
    return found
