"""Which proxy runs which offset: a join by maximum over penstock.reports; it counts nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from streams.backoff import Backoff
from streams.codec import dumps
from streams.kafka import KafkaLog
from streams.ports import LogError, Outgoing, Record
from streams.projections.gone import NAMED, Placements, deleted, ended, is_idle, long_gone
from streams.projections.publishers import Publishers
from streams.projections.took import latency, took_with
from streams.reminder import Reminder
from streams.telemetry import Telemetry
from streams.topics import BEAT_SECONDS, DEPLOYER, Topic, key, split_key
from streams.view import follow_table, read_convergence

if TYPE_CHECKING:
    from streams.app import Membership

_LOG = structlog.get_logger()
_GATEWAY_PARTS = 5
_REJECTED = {"nack", "unconfirmed"}
_DEPLOYERS = {"deployed", "undeployed"}
_DEPLOYER = f"/{DEPLOYER}".encode()


def joined(before: bytes | None, record: Record, is_lost: Callable[[str], bool] = lambda _: False) -> bytes | None:
    """A proxy's row with one more report: the greatest offset, the latest presence, the latest rejection.

    `at` is the offset of the report in its topic: reports come at least once, and an older one changes nothing; nor
    does what is no report. A deployer has a row of its own for a Gateway, of which but `at` and `error` count: why it
    cannot deploy. Where it is connected says one publisher, that of the latest connection, unless that `is_lost`.
    """
    try:
        report = orjson.loads(record.value or b"null")
        event, offset = report["event"], int(report["offset"])
    except (ValueError, TypeError, KeyError):
        return before
    row: dict[str, Any] = orjson.loads(before) if before else {"offset": -1, "connected": False, "at": -1, "error": ""}
    if event in _DEPLOYERS:
        is_newer = record.offset > row["at"]
        return dumps(row | {"at": record.offset, "error": str(report.get("error", ""))}) if is_newer else before
    if event == "connected" and record.offset > row["at"]:
        # A proxy that comes anew has nothing until it acknowledges again. Until then it is told what it rejected last:
        # one that rejects and comes again in a loop would look like one that is slow.
        row |= {"connected": True, "offset": offset}
        row["publisher"] = str(report.get("publisher", ""))
    elif record.offset > row["at"]:
        publisher = str(report.get("publisher", ""))
        if not _is_elsewhere(row, event, publisher, is_lost):
            if event != "unconfirmed":  # Found out of what it said earlier: it may have gone since.
                row["connected"], row["publisher"] = event != "disconnected", publisher
            row["offset"] = max(row["offset"], offset)
        is_same = event == "disconnected" or (event == "nack" and report.get("error", "") == row["error"])
        row["unconfirmed"] = event == "unconfirmed" or (is_same and row.get("unconfirmed", False))
        row["error"] = report.get("error", "") if event in _REJECTED else ("" if event == "ack" else row["error"])
        row["removal"] = bool(report.get("removal") if event in _REJECTED else row["error"] and row.get("removal"))
        row["took"] = took_with(row.get("took"), report.get("milliseconds"))
    row["at"] = max(row["at"], record.offset)
    row["envoy"] = report.get("envoy") or row.get("envoy", "")
    return dumps(row)


def _is_elsewhere(row: Mapping[str, Any], event: str, publisher: str, is_lost: Callable[[str], bool]) -> bool:
    """Whether a proxy is connected to another publisher than the one that reports.

    One that it left notices that late, and then tells that it is gone, and what it had there.
    """
    its = row.get("publisher", publisher)
    return its != publisher and (event == "disconnected" or (row["connected"] and not is_lost(its)))


def _publisher(record: Record) -> str:
    """Which publisher wrote a report; "" for what says none, as those of older versions."""
    try:
        return str(orjson.loads(record.value or b"null")["publisher"])
    except (ValueError, TypeError, KeyError):
        return ""


def greater(one: bytes | None, other: bytes | None) -> bytes | None:
    """Of two states of a proxy's row the one with the later report; none counts least, as what is no row does."""
    rows = [row for row in (one, other) if row is not None and _at(row) is not None]
    return max(rows, key=lambda row: _at(row) or 0, default=None)


def _at(value: bytes) -> int | None:
    """Where the last report of a row stands; None when somebody else wrote it."""
    try:
        row = orjson.loads(value)
    except ValueError:
        return None
    if not isinstance(row, dict) or not {"offset", "connected", "at", "error"} <= row.keys():
        return None
    return row["at"] if isinstance(row["at"], int) and isinstance(row["offset"], int) else None


def gateway_of(row_key: str) -> str:
    """The gateway's key of a proxy's key: `<domain>/<gateway ref>` of `<domain>/<gateway ref>/<proxy>`."""
    return "/".join(row_key.split("/")[: _GATEWAY_PARTS + 1])


def summary(
    gateway_key: str,
    rows: Mapping[str, bytes],
    before: int | None = None,
    is_lost: Callable[[str], bool] = lambda _: False,
) -> dict[str, Any]:
    """A gateway's row from the rows of its proxies: the lowest offset among the connected, None when there is none.

    `acknowledged` is the greatest that ever was, with that of the row `before`: who comes or goes takes nothing back.
    `latency` is of its connected proxies.
    A proxy of a publisher that `is_lost` is gone. Of those that are, the latest few are named. `undeployed` is why
    proxies cannot be deployed as wanted, where they cannot.
    """
    found = {name: orjson.loads(value) for name, value in rows.items()}
    deployer = found.pop(f"{gateway_key}/{DEPLOYER}", {})
    for row in found.values():
        row["connected"] &= not is_lost(row.get("publisher", ""))
    gone = sorted((row["at"], name) for name, row in found.items() if not row["connected"])[:-NAMED]
    proxies = {}
    for name in sorted(found.keys() - {name for _, name in gone}):
        row = found[name]
        proxies[name.removeprefix(gateway_key + "/")] = {
            "offset": row["offset"],
            "connected": row["connected"],
            "error": row["error"],
            "envoy": row.get("envoy", ""),
            "unconfirmed": row.get("unconfirmed", False),
            "removal": row.get("removal", False),
        }
    took = [one for row in found.values() if row["connected"] for one in row.get("took", ())]
    connected = [one["offset"] for one in proxies.values() if one["connected"]]
    lowest = min(connected) if connected else None
    reached = [one for one in (before, lowest) if one is not None and one >= 0]
    return {
        "gateway": split_key(gateway_key.encode())[1],
        "proxies": proxies,
        "lowest": lowest,
        "acknowledged": max(reached, default=None),
        "latency": latency(took),
        **({"undeployed": deployer["error"]} if deployer.get("error") else {}),
    }


@dataclass(frozen=True, slots=True)
class ProjectOptions:
    """Where the projection reads and writes; `directory` is faust's own."""

    log: KafkaLog
    directory: Path
    domain: str = "default"
    partition: int = 0
    partitions: int = 1
    member: str = "projections-0"
    telemetry: Telemetry = field(default_factory=Telemetry)
    turn: float = BEAT_SECONDS
    """Seconds; see `Publishers`."""


class Crashed(RuntimeError):  # noqa: N818
    """The host ended by itself: start the process again."""


class _Joins:
    """Gateways whose row has to be written anew, and the proxies of each: nobody looks through the whole table."""

    def __init__(self) -> None:
        self.proxies: dict[str, set[str]] = {}
        self.gateways: set[str] = set()
        self.publishers = Publishers()
        self.placements = Placements()
        self.wake = asyncio.Event()
        self.waits = "joins its group"
        """For what, before rows can be written."""

    def joined(self, before: bytes | None, record: Record) -> bytes | None:
        """See `joined`; only a key that names a proxy of a gateway makes a row."""
        name = record.key or b""
        if not name.endswith(_DEPLOYER) and self.publishers.heard(_publisher(record)):
            self.all()
        parts = name.count(b"/") + 1
        return joined(before, record, self.publishers.is_lost) if parts > _GATEWAY_PARTS + 1 else None

    def greater(self, one: bytes | None, other: bytes | None) -> bytes | None:
        """See `greater`."""
        return greater(one, other)

    def at(self, row: bytes) -> int:
        """Where the last report of a row stands."""
        return _at(row) or 0

    def seen(self, row_key: str) -> None:
        """A proxy's row changed."""
        gateway = gateway_of(row_key)
        self.proxies.setdefault(gateway, set()).add(row_key)
        self.gateways.add(gateway)
        self.wake.set()

    def all(self) -> None:
        """A publisher was lost or is back, which happens seldom: any gateway may have proxies of it."""
        self.put_back(list(self.proxies))

    def turn(self) -> None:
        """A while has passed: see `Publishers`."""
        if self.publishers.turn():
            self.all()

    async def take(self) -> list[str]:
        """Wait for some, and take all."""
        await self.some()
        self.wake.clear()
        names, self.gateways = sorted(self.gateways), set()
        return names

    async def some(self) -> None:
        """Wait until there are some."""
        await self.wake.wait()

    def let_go(self, row_keys: Iterable[str]) -> None:
        """Proxies' rows are removed; a gateway of which none is left is not written any more."""
        for one in row_keys:
            gateway = gateway_of(one)
            self.proxies[gateway].discard(one)
            if not self.proxies[gateway]:
                del self.proxies[gateway]
                self.gateways.discard(gateway)

    def put_back(self, names: list[str]) -> None:
        """They could not be written."""
        self.gateways.update(names)
        self.wake.set()


async def project(options: ProjectOptions) -> None:
    """Keep penstock.convergence up to date for ever.

    Raises Unavailable when Kafka cannot be reached at the start, Crashed when the host ends.
    """
    from streams.app import Membership  # noqa: PLC0415  slow to import

    joins = _Joins()
    membership = Membership(
        options.log.brokers,
        f"{options.log.prefix}-projections-{options.domain}",
        options.member,
        options.directory,
        options.log.prefix,
        options.partitions,
        options.log.security,
    )
    with options.telemetry.health.part("table", lambda: joins.waits):
        await _joined(options, membership, joins)


async def _joined(options: ProjectOptions, membership: Membership, joins: _Joins) -> None:
    from streams.app import maximum_table  # noqa: PLC0415  slow to import

    def read(start: int) -> AsyncIterator[list[Record]]:
        return options.log.read(Topic.REPORTS, options.partition, start)

    async with (
        maximum_table(membership, (Topic.REPORTS, Topic.ACKNOWLEDGED), joins, read) as (table, forget, crashed),
        asyncio.TaskGroup() as tasks,
    ):
        joins.waits = ""
        tasks.create_task(_write(options, table, joins, partial(forget, options.partition)), name="convergence")
        tasks.create_task(_turn(options, joins), name="turns")
        tasks.create_task(_placements(options, joins), name="placements")
        while not crashed():  # noqa: ASYNC110  the host has no event to wait for
            await asyncio.sleep(0.2)
        msg = "the projections' host ended"
        raise Crashed(msg)


async def _turn(options: ProjectOptions, joins: _Joins) -> None:
    while True:
        await asyncio.sleep(options.turn)
        joins.turn()


async def _placements(options: ProjectOptions, joins: _Joins) -> None:
    """Look at a gateway anew once it is deleted, or there. Its proxies go later, and are reported then."""
    backoff = Backoff()
    while True:
        try:
            async for batch in follow_table(options.log, Topic.STATUS, options.partition):
                backoff.reset()
                moved = joins.placements.take(batch)
                names = joins.proxies if batch.snapshot else [f"{options.domain}/{one}" for one in moved]
                if seen := [one for one in names if one in joins.proxies]:
                    joins.put_back(seen)
        except LogError as error:
            _LOG.debug("placements wait for the log", reason=str(error))
            await backoff.wait()


Forget = Callable[[Iterable[str]], None]
"""Removes rows from the table, by their keys."""


def _keep(_: Iterable[str]) -> None:
    """Removes none."""


async def _write(options: ProjectOptions, table: Mapping[str, bytes], joins: _Joins, forget: Forget = _keep) -> None:
    reminder, backoff = Reminder(), Backoff()
    while True:
        # Of this writer alone: once it is fenced, another one's rows may stand there.
        written: dict[str, Outgoing] = {}
        # A replica that has no rows to write must not take the place of the one that has.
        await joins.some()
        try:
            async with options.log.writer(f"convergence-{options.domain}") as writer:
                shown = await read_convergence(options.log, options.partition)
                reached = {gateway: row["acknowledged"] for gateway, row in shown.items()}
                gone = await _deleted(options, table, joins, shown)
                for gateway in gone:
                    del reached[gateway]
                    _let_go(joins, forget, joins.proxies.get(f"{options.domain}/{gateway}", ()))
                await writer.write(_outgoing(options, gateway, None) for gateway in gone)
                joins.waits = ""
                while True:
                    names = await joins.take()
                    rows = {name: _record(options, table, joins, reached, name) for name in names}
                    changed = {name: row for name, row in rows.items() if row != written.get(name)}
                    try:
                        await writer.write(changed.values())
                    except LogError:
                        joins.put_back(names)
                        raise
                    backoff.reset()
                    written |= changed
                    for name, row in rows.items():
                        stale = long_gone if row.value is not None else ended
                        _let_go(joins, forget, stale({one: table[one] for one in joins.proxies[name]}))
                        if name not in joins.proxies:
                            del written[name]
        except LogError as error:
            joins.waits = str(error)
            if reminder.is_due(str(error)):
                _LOG.warning("convergence waits for the log", reason=str(error))
            await backoff.wait()


async def _deleted(
    options: ProjectOptions, table: Mapping[str, bytes], joins: _Joins, shown: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Gateways that are not there any more, and have no proxy: looked for at each start. Raises LogError.

    One that is there keeps its row however long it has no proxy: no table remembers what was acknowledged.
    """
    proxies = {gateway: joins.proxies.get(f"{options.domain}/{gateway}", ()) for gateway in shown}
    idle = [one for one, row in shown.items() if is_idle(row, (table[name] for name in proxies[one]))]
    return await deleted(options.log, options.partition, idle)


def _let_go(joins: _Joins, forget: Forget, row_keys: Iterable[str]) -> None:
    names = list(row_keys)
    joins.let_go(names)
    forget(names)


def _outgoing(options: ProjectOptions, gateway: str, row: Mapping[str, Any] | None) -> Outgoing:
    value = dumps(row) if row is not None else None
    return Outgoing(Topic.CONVERGENCE, options.partition, key(options.domain, gateway), value)


def _record(
    options: ProjectOptions, table: Mapping[str, bytes], joins: _Joins, reached: dict[str, int | None], name: str
) -> Outgoing:
    _, gateway = split_key(name.encode())
    rows = {one: table[one] for one in joins.proxies[name]}
    row = summary(name, rows, reached.get(gateway), joins.publishers.is_lost)
    if row["lowest"] is None and not joins.placements.is_there(gateway):
        reached.pop(gateway, None)  # Another one of its name has acknowledged nothing.
        return _outgoing(options, gateway, None)
    reached[gateway] = row["acknowledged"]
    return _outgoing(options, gateway, row)
