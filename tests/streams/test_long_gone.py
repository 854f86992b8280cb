"""Of proxies and Gateways that are gone no rows are kept for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.update import Delta, Update
from streams.codec import encode_update
from streams.memory import MemoryLog
from streams.ports import Outgoing, Record
from streams.projections.convergence import ProjectOptions, _Joins, _placements, _write, joined, summary
from streams.projections.gone import Placements, deleted
from streams.topics import DEPLOYER, Topic, key, split_key
from streams.view import Batch, read_convergence
from tests.streams.test_convergence import converged, projecting, record, report
from tests.streams.toy import GATEWAY, kafka_log, records, until

_ROW = f"default/{GATEWAY}"
_IDLE = GATEWAY._replace(name="idle")
_LEFT = GATEWAY._replace(name="left")


def row(*events: str, at: int = 0) -> bytes:
    value: bytes | None = None
    for number, event in enumerate(events):
        value = joined(value, record(at + number, report(event, 1)))
    return value or b""


class Table(dict[str, bytes]):
    """Rows, and what was let go of them."""

    def __init__(self, rows: dict[str, bytes]) -> None:
        super().__init__(rows)
        self.forgotten: list[str] = []

    def forget(self, names: Iterable[str]) -> None:
        for name in names:
            self.forgotten.append(name)
            del self[name]


async def written(log: MemoryLog, tmp_path: Path, table: Table, joins: _Joins) -> None:
    """Let the projection take what there is."""
    for name in table:
        joins.seen(name)
    task = asyncio.create_task(_write(ProjectOptions(log, tmp_path), table, joins, table.forget))
    async with asyncio.timeout(20):
        while joins.gateways or not await read_convergence(log, 0):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})


async def test_rows_of_proxies_that_nobody_names_any_more_are_let_go(tmp_path: Path) -> None:
    rows = {f"{_ROW}/p{at:03d}": row("disconnected", at=at) for at in range(100)}
    rows[f"{_ROW}/p003"] = row("ack", at=3)
    # Told by nobody: its publisher may only be cut off.
    rows[f"{_ROW}/p004"] = orjson.dumps(orjson.loads(row("ack", at=4)) | {"publisher": "a/1"})
    rows[f"{_ROW}/{DEPLOYER}"] = orjson.dumps({"offset": -1, "connected": False, "at": 0, "error": "no"})
    table, joins, log = Table(rows), _Joins(), MemoryLog()
    before = summary(_ROW, rows)
    await written(log, tmp_path, table, joins)
    names = {f"p{at:03d}" for at in range(84)} - {"p003", "p004"}
    assert {name.rpartition("/")[2] for name in table.forgotten} == names
    assert joins.proxies[_ROW] == table.keys()
    assert summary(_ROW, table) == before
    # One that comes back, after all, is as any that comes.
    table[f"{_ROW}/p000"] = row("ack", at=200)
    await written(log, tmp_path, table, joins)
    assert (await read_convergence(log, 0))[str(GATEWAY)]["proxies"]["p000"]["connected"]


@pytest.mark.kafka
async def test_what_is_let_go_is_gone_after_a_restart(broker: str, tmp_path: Path) -> None:
    async def kept(log: Any) -> set[str]:
        found = {split_key(one.key or b"")[1]: one.value for one in await records(log, Topic.ACKNOWLEDGED)}
        return {name.rpartition("/")[2] for name, value in found.items() if value is not None}

    async with kafka_log(broker) as log:
        options, last = ProjectOptions(log, tmp_path / "faust"), {f"p{at:02d}" for at in range(24, 40)}

        async def reported(name: str, *events: str) -> None:
            async with log.appender() as writer:
                outgoing = [orjson.dumps(report(event, 3)) for event in events]
                await writer.write(Outgoing(Topic.REPORTS, 0, key("default", f"{GATEWAY}/{name}"), one) for one in outgoing)

        async def shows(names: set[str]) -> bool:
            return (await converged(log)).get(str(GATEWAY), {}).get("proxies", {}).keys() == names

        async def keeps(names: set[str]) -> bool:
            return await kept(log) == names

        for at in range(40):
            await reported(f"p{at:02d}", "connected", "ack", "disconnected")
        async with projecting(options):
            await until(lambda: keeps(last), 60)
            assert await shows(last)
        await reported("p00", "connected", "ack")
        async with projecting(options):
            await until(lambda: shows({"p00", *last}), 60)
            await until(lambda: keeps({"p00", *last}), 60)


async def gateways(log: MemoryLog, *wanted: Any, offset: int = 1) -> None:
    """These Gateways have statuses; of others there is none."""
    statuses = Delta({str(one): {"generation": 1, "status": {}} for one in wanted})
    async with log.writer("resolver") as writer:
        await writer.write(encode_update("default", 0, Update(offset, "2026-11-24T12:00:00.000Z", statuses=statuses), {}))


async def test_the_row_of_a_gateway_that_is_gone_goes_at_the_next_start(tmp_path: Path) -> None:
    """One without a proxy stays: what it has acknowledged is not taken back."""
    log = MemoryLog()
    await written(log, tmp_path, Table({f"default/{one}/p0": row("ack") for one in (GATEWAY, _IDLE, _LEFT)}), _Joins())
    rows = {
        f"{_ROW}/p0": row("ack"),
        f"default/{_IDLE}/p0": row("ack", "disconnected"),
        f"default/{_LEFT}/p0": row("ack", "disconnected"),
    }
    await written(log, tmp_path, Table(rows), _Joins())
    assert set(await read_convergence(log, 0)) == {str(GATEWAY), str(_IDLE), str(_LEFT)}
    # Nothing of anything is known before something was resolved.
    await written(log, tmp_path, Table(rows), _Joins())
    assert set(await read_convergence(log, 0)) == {str(GATEWAY), str(_IDLE), str(_LEFT)}
    await gateways(log, _IDLE)
    table = Table(rows)
    await written(log, tmp_path, table, _Joins())
    found = await read_convergence(log, 0)
    assert set(found) == {str(GATEWAY), str(_IDLE)}
    assert found[str(_IDLE)]["acknowledged"] == 1
    assert table.forgotten == [f"default/{_LEFT}/p0"]
    ended = [split_key(one.key or b"")[1] for one in await records(log, Topic.CONVERGENCE) if one.value is None]
    assert ended == [str(_LEFT)]


async def test_a_gateway_that_is_gone_keeps_its_row_while_it_has_a_proxy(tmp_path: Path) -> None:
    """Also one of which the row does not tell yet."""
    log = MemoryLog()
    await gateways(log)
    await written(log, tmp_path, Table({f"default/{_LEFT}/p0": row("ack", "disconnected")}), _Joins())
    await written(log, tmp_path, Table({f"default/{_LEFT}/p0": row("ack", "disconnected", "ack")}), _Joins())
    assert (await read_convergence(log, 0))[str(_LEFT)]["proxies"]["p0"]["connected"]


class Counted(MemoryLog):
    """How often all statuses were read."""

    reads = 0

    async def read(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        self.reads += topic is Topic.STATUS
        async for batch in super().read(topic, partition, start):
            yield batch


class Projection:
    """It runs on: what becomes of a Gateway while it does is seen in its topic."""

    def __init__(self, log: MemoryLog, tmp_path: Path) -> None:
        self.log, self.joins, self.table, self.at = log, _Joins(), Table({}), 0
        self.options = ProjectOptions(log, tmp_path)

    def hears(self, gateway: Any, event: str, offset: int = 1) -> None:
        name = f"default/{gateway}/p0"
        self.table[name] = joined(self.table.get(name), record(self.at, report(event, offset))) or b""
        self.at += 1
        self.joins.seen(name)

    async def shows(self, *gateways: Any) -> None:
        wanted = {str(one) for one in gateways}
        async with asyncio.timeout(20):
            while set(await read_convergence(self.log, 0)) != wanted or self.joins.gateways:
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def runs(self) -> AsyncIterator[None]:
        write = _write(self.options, self.table, self.joins, self.table.forget)
        tasks = [asyncio.ensure_future(one) for one in (write, _placements(self.options, self.joins))]
        yield
        assert not any(one.done() for one in tasks)
        for one in tasks:
            one.cancel()
        await asyncio.wait(tasks)


async def test_the_row_of_a_gateway_that_is_deleted_goes_with_its_last_proxy(tmp_path: Path) -> None:
    log = Counted()
    one = Projection(log, tmp_path)
    await gateways(log, _IDLE, _LEFT)
    async with one.runs():
        for event in ("ack", "disconnected"):
            one.hears(_IDLE, event)
        one.hears(_LEFT, "ack")
        await one.shows(_IDLE, _LEFT)
        before = log.reads
        await removed(log, 2, _LEFT)
        one.hears(_IDLE, "ack")  # Its proxy is still there: whatever else comes.
        await one.shows(_IDLE, _LEFT)
        one.hears(_LEFT, "disconnected")
        await one.shows(_IDLE)
        assert one.table.forgotten == [f"default/{_LEFT}/p0"]
        # One of which the proxy went first.
        one.hears(_IDLE, "disconnected")
        await one.shows(_IDLE)
        await removed(log, 3, _IDLE)
        await one.shows()
        assert not one.joins.proxies
        assert log.reads == before  # However many statuses there are.
        # Another one of that name has acknowledged nothing.
        await gateways(log, _LEFT, offset=4)
        one.hears(_LEFT, "connected", -1)
        await one.shows(_LEFT)
        assert (await read_convergence(log, 0))[str(_LEFT)]["acknowledged"] is None


async def test_what_a_deployer_says_before_a_gateways_status_is_seen_is_shown_once_it_is(tmp_path: Path) -> None:
    """It says it once."""
    log, name = MemoryLog(), f"default/{_LEFT}/{DEPLOYER}"
    one = Projection(log, tmp_path)
    await gateways(log, _IDLE)
    async with one.runs():
        one.hears(_IDLE, "ack")
        await one.shows(_IDLE)
        one.table[name] = joined(None, record(9, {"event": "undeployed", "offset": -1, "error": "is taken"})) or b""
        one.joins.seen(name)
        await one.shows(_IDLE)
        await gateways(log, _LEFT, offset=2)
        await one.shows(_IDLE, _LEFT)
        assert (await read_convergence(log, 0))[str(_LEFT)]["undeployed"] == "is taken"
        # Nor does it keep the row of one that is deleted.
        await removed(log, 3, _LEFT)
        await one.shows(_IDLE)
        one.table[name] = joined(one.table[name], record(10, {"event": "deployed", "offset": -1, "error": ""})) or b""
        one.joins.seen(name)
        async with asyncio.timeout(20):
            while one.table.forgotten != [name]:
                await asyncio.sleep(0.01)
    assert one.joins.proxies.keys() == {f"default/{_IDLE}"}


async def removed(log: MemoryLog, offset: int, gone: Any) -> None:
    async with log.writer("resolver") as writer:
        update = Update(offset, "2026-11-24T12:00:00.000Z", statuses=Delta({}, frozenset({str(gone)})))
        await writer.write(encode_update("default", 0, update, {}))


async def test_a_status_that_is_none_ends_no_projection() -> None:
    log = MemoryLog()
    headers = (("offset", b"1"), ("index", b"0"))
    async with log.writer("stranger") as writer:
        await writer.write([Outgoing(Topic.STATUS, 0, key("default", str(_LEFT)), b"[garbage", headers)])
    await gateways(log, _IDLE, offset=2)
    assert await deleted(log, 0, [str(_LEFT), f"{_LEFT}@west"]) == [f"{_LEFT}@west"]


def test_a_gateway_in_another_cluster_is_there_while_its_status_waits_for_it() -> None:
    there, west = Placements(), f"{_LEFT}@west"
    assert there.is_there(str(_LEFT))

    def status(value: bytes) -> dict[str, Record | None]:
        return {str(_LEFT): Record(Topic.STATUS, 0, 0, b"", value, (), 0)}

    assert there.take(Batch({}, -1, snapshot=True)) == set()
    assert there.is_there(west)
    both = orjson.dumps({"programmed": {str(_LEFT): 3, west: 3}})
    assert there.take(Batch(status(both), 3, snapshot=True)) == {str(_LEFT), west}
    assert there.take(Batch(status(both), 3, snapshot=False)) == set()
    assert there.is_there(west)
    assert not there.is_there(f"{_LEFT}@east")
    assert there.take(Batch(status(orjson.dumps({"programmed": {str(_LEFT): 4}})), 4, snapshot=False)) == {west}
    assert there.take(Batch({str(_LEFT): None}, 5, snapshot=False)) == {str(_LEFT)}
    assert there.take(Batch(status(b"[garbage"), 6, snapshot=False)) == {str(_LEFT)}
    assert (there.is_there(str(_LEFT)), there.is_there(west)) == (True, False)
    assert there.take(Batch({}, 7, snapshot=True)) == {str(_LEFT)}
