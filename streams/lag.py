"""Which proxies have not acknowledged what concerns their Gateway, by the public topics alone; it waits for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from engine.placement import place_of
from engine.update import parse_fragment_key
from streams.history import latest
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


@dataclass(frozen=True, slots=True)
class Behind:
    """A Gateway that does not run an offset yet, and why."""

    gateway: str
    reason: str


def behind(
    convergence: Mapping[str, Mapping[str, Any]], wanting: Iterable[str], found: Recent, offset: int
) -> list[Behind]:
    """Of Gateways that want proxies, or have some: those that do not all run an offset, sorted. Some must be connected.

    What did not concern a Gateway its proxies run without a word.
    """
    late = []
    for gateway in sorted({*wanting, *(one for one, row in convergence.items() if _connected(row))}):
        row = convergence.get(gateway) or {"proxies": {}}
        reasons = [
            _why(name, proxy, lag(found.touches, gateway, proxy["offset"], offset))
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


def _why(name: str, proxy: Mapping[str, Any], missing: Lag) -> str:
    if proxy["offset"] < 0:
        return f"proxy {name} has not acknowledged anything yet"
    if not missing.changes:
        return ""
    rejected = f", and rejected what it was sent: {proxy['error'][:300]}" if proxy["error"] else ""
    return f"proxy {name} runs {proxy['offset']}, {missing.changes} changes behind{rejected}"
