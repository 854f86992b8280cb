"""Which proxies have not acknowledged what concerns their Gateway, by the public topics alone; it waits for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from engine.placement import place_of
from engine.update import parse_fragment_key
from streams.history import Asked, history, latest
from streams.ports import Log

_FIRST: Final = 64
_MOST: Final = 16_384
"""Updates that are looked through: a proxy that lags by more lags by "more than" what was seen."""


class Touch(NamedTuple):
    """An update: its offset in the log, its time, and the Gateways of which it changed a fragment."""

    offset: int
    time: str
    gateways: frozenset[str]


@dataclass(frozen=True, slots=True)
class Recent:
    """The latest updates, oldest first. `resolved` is the offset of the last of all, -1 before any."""

    touches: tuple[Touch, ...]
    resolved: int
    is_whole: bool
    """Whether there is none above the offset that was asked for which is not among them."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a proxy is behind: `changes` of its Gateway that it has not acknowledged, the oldest `since` a time."""

    changes: int
    since: str | None


async def recent(log: Log, partition: int, above: int) -> Recent:
    """The updates above an offset of the log, as far back as is looked. Raises LogError."""
    many = _FIRST
    while True:
        found, _ = await latest(log, partition, many)
        is_whole = len(found) < many or found[0]["offset"] <= above
        if is_whole or many >= _MOST:
            touches = tuple(_touch(one) for one in found if one["offset"] > above)
            return Recent(touches, found[-1]["offset"] if found else -1, is_whole)
        many *= 4


class Asking:
    """For one who asks again and again, and must know: looks as far back as is needed, and at nothing twice.

    Not for longer than some `seconds`. `begins` hears how many offsets are looked through, before that.
    """

    def __init__(
        self, log: Log, partition: int, seconds: float, begins: Callable[[int], None] = lambda _: None
    ) -> None:
        self._log = log
        self._partition = partition
        self._seconds = seconds
        self._begins = begins
        self._found = Recent((), -1, is_whole=False)
        self._above = -1

    async def recent(self, above: int) -> Recent:
        """The updates above an offset of the log: all of them, if there is time. Raises LogError."""
        found = await recent(self._log, self._partition, above)
        if not found.is_whole:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    older = await self._older(above, found.touches[0].offset)
                    found = Recent((*older, *found.touches), found.resolved, is_whole=True)
        self._found, self._above = found, above
        return found

    async def _older(self, above: int, before: int) -> list[Touch]:
        known = self._found
        if known.is_whole and self._above <= above and known.resolved >= before - 1:
            return [one for one in known.touches if above < one.offset < before]
        self._begins(before - above)
        asked = Asked(since=above + 1, until=before - 1)
        found = [_touch(one) async for one in history(self._log, self._partition, asked)]
        return [one for one in reversed(found) if one.gateways]


def _touch(update: Mapping[str, Any]) -> Touch:
    fragments = (update.get("downstream") or {}).get("fragments") or {}
    names = (*fragments.get("set", ()), *fragments.get("removed", ()))
    return Touch(update["offset"], str(update.get("time", "")), frozenset(_gateways(names)))


def _gateways(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        try:
            yield str(parse_fragment_key(name).gateway)
        except ValueError:
            continue  # Of a newer version: what it is of cannot be said.


def lag(touches: Sequence[Touch], gateway: str, runs: int, to: int | None = None) -> Lag:
    """What a proxy of a placement that runs an offset has not acknowledged, up to an offset or to the last."""
    whole = place_of(gateway)[0]
    missing = [
        one for one in touches if one.offset > runs and whole in one.gateways and (to is None or one.offset <= to)
    ]
    return Lag(len(missing), missing[0].time if missing else None)


def lowest(rows: Iterable[Mapping[str, Any]]) -> int:
    """The lowest offset that a connected proxy runs; -1 where there is none."""
    return min((one["lowest"] for one in rows if one["lowest"] is not None), default=-1)


def lowest_acknowledged(rows: Iterable[Mapping[str, Any]]) -> int | None:
    """The lowest offset that a connected proxy runs; what has not acknowledged anything yet is behind anyway."""
    proxies = (one["offset"] for row in rows for one in _connected(row).values())
    return min((one for one in proxies if one >= 0), default=None)


@dataclass(frozen=True, slots=True)
class Behind:
    """A Gateway that does not run an offset yet, and why."""

    gateway: str
    reason: str


def behind(
    convergence: Mapping[str, Mapping[str, Any]], wanting: Iterable[str], found: Recent, offset: int
) -> list[Behind]:
    """Of Gateways that want proxies, or have some: those that do not all run an offset, sorted. Some must be connected.

    What did not concern a Gateway its proxies run without a word; of what was not looked at nobody knows that.
    """
    late = []
    unseen = found.touches[0].offset - 1 if found.touches and not found.is_whole else -1
    for gateway in sorted({*wanting, *(one for one, row in convergence.items() if _connected(row))}):
        row = convergence.get(gateway) or {"proxies": {}}
        reasons = [
            _why(name, proxy, lag(found.touches, gateway, proxy["offset"], offset), min(unseen, offset))
            for name, proxy in sorted(_connected(row).items())
        ]
        reasons = [one for one in reasons if one]
        if not _connected(row):
            undeployed = row.get("undeployed")
            reasons = [f"no proxy is connected{f': {undeployed}' if undeployed else ''}"]
        if reasons:
            late.append(Behind(gateway, "; ".join(reasons)))
    return late


def _connected(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in row["proxies"].items() if one["connected"]}


def _why(name: str, proxy: Mapping[str, Any], missing: Lag, unseen: int) -> str:
    """Why a proxy does not run what is `missing`, nor what may be up to an offset `unseen`; "" for one that does."""
    if proxy["offset"] < 0:
        return f"proxy {name} has not acknowledged anything yet"
    is_far = proxy["offset"] < unseen
    if not missing.changes and not is_far:
        return ""
    many = "behind by more than can be seen" if is_far else f"{missing.changes} changes behind"
    rejected = f", and rejected what it was sent: {proxy['error'][:300]}" if proxy["error"] else ""
    return f"proxy {name} runs {proxy['offset']}, {many}{rejected}"
