"""Which proxy runs which offset: reports come at least once and out of order, and the answer is the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.codec import decode_convergence, dumps
from streams.kafka import KafkaLog
from streams.memory import MemoryLog
from streams.ports import Outgoing, Record
from streams.projections.convergence import (
    ProjectOptions,
    _write,
    gateway_of,
    greater,
    joined,
    project,
    summary,
)
from streams.projections.convergence import (
    _Joins as Proxies,
)
from streams.topics import DEPLOYER, Topic, key, split_key, topic_name
from tests.streams.toy import GATEWAY, kafka_log, records, until

PROXY = f"{GATEWAY}/p0"


def report(event: str, offset: int, proxy: str = "p0", error: str = "") -> dict[str, Any]:
    return {
        "proxy": proxy,
        "gateway": str(GATEWAY),
        "event": event,
        "offset": offset,
        "type": "",
        "resources": [],
        "error": error,
        "envoy": "1.40.0",
        "time": "2026-11-24T12:00:00.000Z",
        "version": "",
    }


def record(at: int, one: dict[str, Any]) -> Record:
    return Record(Topic.REPORTS, 0, at, key("default", PROXY), orjson.dumps(one), (), 0)


def row(*reports: dict[str, Any]) -> dict[str, Any]:
    value: bytes | None = None
    for at, one in enumerate(reports):
        value = joined(value, record(at, one))
    found: dict[str, Any] = orjson.loads(value or b"{}")
    return found


def test_a_proxy_runs_what_it_acknowledged() -> None:
    assert row(report("connected", -1))["offset"] == -1
    assert row(report("connected", -1), report("ack", 4))["offset"] == 4
    assert row(report("ack", 4), report("ack", 3))["offset"] == 4


def test_what_acknowledgements_took_is_told_in_percentiles_of_the_latest() -> None:
    value: bytes | None = None
    for at in range(100):
        value = joined(value, record(at, report("ack", at) | {"milliseconds": at}))
    told = summary(f"default/{GATEWAY}", {f"default/{PROXY}": value or b""})["latency"]
    assert told == {"p50": 83, "p90": 96, "p99": 99, "max": 99, "many": 32}
    gone = joined(value, record(100, report("disconnected", 99)))
    assert summary(f"default/{GATEWAY}", {f"default/{PROXY}": gone or b""})["latency"] is None


@pytest.mark.parametrize("odd", [None, "7", -1, True, 1.5, {}])
def test_a_time_that_is_none_is_not_told(odd: Any) -> None:
    assert row(report("ack", 4) | {"milliseconds": 5}, report("ack", 5) | {"milliseconds": odd})["took"] == [5]


def test_a_rejection_is_shown_until_something_is_accepted() -> None:
    rejected = row(report("connected", -1), report("ack", 4), report("nack", 4, error="bad regex"))
    assert (rejected["offset"], rejected["error"], rejected["connected"]) == (4, "bad regex", True)
    assert row(report("nack", 4, error="bad regex"), report("ack", 5))["error"] == ""


def test_what_nobody_else_confirms_is_shown_as_such_until_something_is_accepted() -> None:
    gone = row(report("nack", 4, error="odd"), report("disconnected", 4), report("unconfirmed", 4, error="odd"))
    assert (gone["error"], gone["unconfirmed"], gone["connected"]) == ("odd", True, False)
    assert row(report("nack", 4, error="odd"), report("unconfirmed", 4, error="odd"))["unconfirmed"]
    assert not row(report("unconfirmed", 4, error="odd"), report("ack", 5))["unconfirmed"]


def test_who_rejects_and_comes_again_in_a_loop_is_told_as_one_at_any_time() -> None:
    """The reports of a while are written together, and of each kind the latest: that it came stands behind them."""
    turn = [report("nack", -1, error="odd"), report("unconfirmed", -1, error="odd"), report("connected", -1)]
    for end in range(3, 9):
        found = row(*(turn * 3)[:end])
        assert (found["error"], found["unconfirmed"]) == ("odd", True)
    assert not row(*turn, report("nack", -1, error="other words"))["unconfirmed"]
    mended = row(*turn, report("ack", 4))
    assert (mended["error"], mended["unconfirmed"]) == ("", False)


def test_a_removal_that_was_rejected_is_told_apart() -> None:
    removal = report("nack", 4, error="no") | {"removal": True}
    assert row(removal)["removal"]
    assert row(removal, report("disconnected", 4))["removal"]
    assert not row(removal, report("nack", 4, error="odd"))["removal"]
    assert not row(removal, report("ack", 5))["removal"]
    assert row(removal, report("connected", -1))["removal"]
    assert not row(removal, report("connected", -1), report("ack", 5))["removal"]


def test_a_proxy_that_comes_anew_has_nothing_until_it_acknowledges() -> None:
    again = row(report("connected", -1), report("ack", 9), report("disconnected", 9), report("connected", -1))
    assert (again["offset"], again["connected"]) == (-1, True)


def by(publisher: str, event: str, offset: int = -1) -> dict[str, Any]:
    return report(event, offset) | {"publisher": publisher}


_EVENTS = "connected", "ack", "nack", "unconfirmed", "disconnected"
_events = st.lists(st.builds(by, st.sampled_from("AB"), st.sampled_from(_EVENTS), st.integers(-1, 9)), max_size=8)


@given(_events, st.data())
def test_reports_seen_again_change_nothing(reports: list[dict[str, Any]], data: st.DataObject) -> None:
    """After a crash the tail of the topic is delivered once more, to a table that has it already."""
    arrived = [record(at, one) for at, one in enumerate(reports)]
    value: bytes | None = None
    for one in arrived:
        value = joined(value, one)
    again = data.draw(st.integers(0, len(arrived)))
    after = value
    for one in arrived[again:]:
        after = joined(after, one)
    assert after == value


@given(st.binary(max_size=30))
def test_a_report_that_is_none_changes_nothing(value: bytes) -> None:
    before = joined(None, record(0, report("ack", 4)))
    assert joined(before, Record(Topic.REPORTS, 0, 1, b"k", value, (), 0)) == before


@given(st.binary(max_size=30) | st.sampled_from([b"{}", b'{"at":"x"}', b'{"at":1}', b"[1]"]))
def test_what_no_projection_wrote_is_no_row(value: bytes) -> None:
    row = joined(None, record(0, report("ack", 4)))
    assert joined(None, Record(Topic.REPORTS, 0, 1, b"k", value, (), 0)) is None
    assert (greater(None, value), greater(value, row), greater(row, value)) == (None, row, row)


@pytest.mark.parametrize("name", [b"default", b"default/junk", b"\xff\xfe", f"default/{GATEWAY}".encode()])
def test_a_report_under_a_key_that_is_no_proxys_makes_no_row(name: bytes) -> None:
    one = record(0, report("ack", 4))
    assert Proxies().joined(None, one._replace(key=name)) is None
    assert Proxies().joined(None, one) is not None


def test_the_lowest_counts_connected_proxies_only() -> None:
    gateway = f"default/{GATEWAY}"
    joins = {
        f"{gateway}/p0": joined(None, record(0, report("ack", 7))),
        f"{gateway}/p1": joined(None, record(1, report("ack", 5))),
        f"{gateway}/p2": joined(joined(None, record(2, report("ack", 1))), record(3, report("disconnected", 1))),
    }
    rows = {name: value for name, value in joins.items() if value is not None}
    found = summary(gateway, rows)
    assert (found["lowest"], list(found["proxies"])) == (5, ["p0", "p1", "p2"])
    assert found["gateway"] == str(GATEWAY)
    assert summary(gateway, {f"{gateway}/p2": rows[f"{gateway}/p2"]})["lowest"] is None
    assert gateway_of(f"{gateway}/p0") == gateway


def test_why_a_gateways_proxies_are_not_deployed_stands_in_its_row() -> None:
    gateway = f"default/{GATEWAY}"
    name, at = f"{gateway}/{DEPLOYER}", iter(range(9))

    def shown(*reports: dict[str, Any]) -> dict[str, Any]:
        value: bytes | None = None
        for one in reports:
            value = joined(value, record(next(at), one))
        proxy = joined(None, record(next(at), report("ack", 7)))
        return summary(gateway, {name: value or b"", f"{gateway}/p0": proxy or b""})

    failed = {"event": "undeployed", "offset": -1, "error": "Service default/gw: is taken"}
    found = shown(failed)
    assert (found["undeployed"], found["lowest"], list(found["proxies"])) == ("Service default/gw: is taken", 7, ["p0"])
    assert "undeployed" not in shown(failed, {"event": "deployed", "offset": -1, "error": ""})
    rows = [Record(Topic.CONVERGENCE, 0, 0, b"k", dumps(found | {"undeployed": one}), (), 0) for one in ("no", 7)]
    assert [decode_convergence(one) is not None for one in rows] == [True, False]


def test_a_deployer_is_no_publisher() -> None:
    """By its reports alone no other would be taken for lost."""
    joins = Proxies()
    joins.publishers.heard("a/1")
    joins.publishers.turn()
    for at in range(9):
        one = {"event": "deployed", "offset": -1, "error": ""}
        joins.joined(None, record(at, one)._replace(key=key("default", f"{GATEWAY}/{DEPLOYER}")))
        joins.publishers.turn()
    assert not joins.publishers.is_lost("a/1")


def test_connects_and_disconnects_take_nothing_back() -> None:
    """DESIGN: Programmed is revoked by neither; a change that nobody acknowledged is not Programmed either."""
    gateway = f"default/{GATEWAY}"
    story = ("connected", -1), ("ack", 4), ("disconnected", 4), ("connected", -1), ("ack", 6), ("disconnected", 6)
    row, before, said = None, None, []
    for at, (event, offset) in enumerate(story):
        row = joined(row, record(at, report(event, offset)))
        assert row is not None
        before = summary(gateway, {f"{gateway}/p0": row}, before)["acknowledged"]
        said.append(before)
    assert said == [None, 4, 4, 4, 6, 6]


async def test_what_was_acknowledged_is_known_after_a_restart(tmp_path: Path) -> None:
    log, name = MemoryLog(), f"default/{PROXY}"
    found: dict[str, Any] = {}
    for at, (event, offset) in enumerate((("ack", 4), ("disconnected", 4))):
        joins, table = Proxies(), {name: joined(None, record(at, report(event, offset)))}
        async with asyncio.timeout(240):
            task = asyncio.create_task(_write(ProjectOptions(log, tmp_path), table, joins))
            joins.seen(name)
            while found.get("proxies", {}).get("p0", {}).get("connected") is not (event == "ack"):
                for batch in [one async for one in log.read(Topic.CONVERGENCE, 0)]:
                    found = orjson.loads(batch[-1].value or b"null")
                await asyncio.sleep(0)
            task.cancel()
    assert (found["lowest"], found["acknowledged"]) == (None, 4)


def test_of_proxies_that_are_gone_the_latest_few_are_named() -> None:
    gateway = f"default/{GATEWAY}"
    rows = {}
    for at in range(100):
        event = "ack" if at == 3 else "disconnected"
        rows[f"{gateway}/p{at:03d}"] = joined(None, record(at, report(event, at))) or b""
    assert list(summary(gateway, rows)["proxies"]) == ["p003", *(f"p{at:03d}" for at in range(84, 100))]


@asynccontextmanager
async def projecting(options: ProjectOptions) -> AsyncIterator[asyncio.Task[None]]:
    """The projection runs while inside."""
    task = asyncio.ensure_future(project(options))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def converged(log: KafkaLog) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in await records(log, Topic.CONVERGENCE):
        found[split_key(one.key or b"")[1]] = orjson.loads(one.value or b"null")
    return found


async def test_a_row_that_says_nothing_new_is_not_written(tmp_path: Path) -> None:
    """What is read again after a start, or changes nothing of a gateway's row, costs the log nothing."""
    log, joins, table = MemoryLog(), Proxies(), {}
    name = f"default/{PROXY}"
    written: list[int] = []
    async with asyncio.timeout(240):
        task = asyncio.create_task(_write(ProjectOptions(log, tmp_path), table, joins))
        # The second differs in where the report stands only; the third is new, and the log is away for it at first.
        for at, offset in enumerate((4, 4, 5)):
            table[name] = joined(None, record(at, report("ack", offset)))
            log.down = offset == 5
            joins.seen(name)
            # Taken, and written or put back, within a few turns of the loop.
            for _ in range(20):
                await asyncio.sleep(0)
            log.down = False
            while not written or written[-1] != offset:
                found = [one async for batch in log.read(Topic.CONVERGENCE, 0) for one in batch]
                written = [orjson.loads(one.value or b"")["lowest"] for one in found]
                await asyncio.sleep(0)
        task.cancel()
    assert written == [4, 5]


@pytest.mark.kafka
async def test_the_projection_survives_its_process(broker: str, tmp_path: Path) -> None:
    async def reported(log: KafkaLog, *reports: dict[str, Any]) -> None:
        async with log.writer("reports") as writer:
            rows = [
                Outgoing(Topic.REPORTS, 0, key("default", f"{GATEWAY}/{one['proxy']}"), orjson.dumps(one))
                for one in reports
            ]
            await writer.write(rows)

    async def shows(log: KafkaLog, lowest: int | None, proxies: set[str]) -> None:
        async def question() -> bool:
            one = (await converged(log)).get(str(GATEWAY), {"lowest": "none yet", "proxies": {}})
            return one["lowest"] == lowest and set(one["proxies"]) == proxies

        await until(question)

    async with kafka_log(broker) as log:
        options = ProjectOptions(log, tmp_path / "faust")
        await reported(log, report("connected", -1), report("ack", 3))
        async with projecting(options):
            await shows(log, 3, {"p0"})
        await reported(log, report("connected", -1, "p1"), report("ack", 2, "p1"), report("ack", 5))
        async with projecting(options) as task:
            await shows(log, 2, {"p0", "p1"})
            await reported(log, report("disconnected", 2, "p1"))
            await shows(log, 5, {"p0", "p1"})
        assert task.cancelled()


@pytest.mark.kafka
async def test_what_the_host_does_not_deliver_is_joined_all_the_same(broker: str, tmp_path: Path) -> None:
    """At a hand-over faust lets go of records now and then: as if they had been handed out before."""
    async with kafka_log(broker) as log:
        async with log.writer("reports") as writer:
            rows = [Outgoing(Topic.REPORTS, 0, key("default", PROXY), orjson.dumps(report("ack", one))) for one in (1, 2)]
            await writer.write(rows)
        at = TopicPartition(topic_name(Topic.REPORTS, log.prefix), 0)
        consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=f"{log.prefix}-projections-default", enable_auto_commit=False)
        await consumer.start()
        consumer.assign([at])
        await consumer.commit({at: (await consumer.end_offsets([at]))[at]})
        await consumer.stop()

        async def is_shown() -> bool:
            return (await converged(log)).get(str(GATEWAY), {}).get("lowest") == 2

        async with projecting(ProjectOptions(log, tmp_path / "faust")):
            await until(is_shown)


@pytest.mark.kafka
async def test_a_proxy_that_went_with_its_publisher_keeps_its_gateway_waiting_for_a_while_only(broker: str, tmp_path: Path) -> None:
    """Nobody tells that it is gone: its pod was replaced while the publisher was, as when a node fails."""
    async with kafka_log(broker) as log, log.writer("reports") as writer:

        async def reported(proxy: str, one: dict[str, Any]) -> None:
            await writer.write([Outgoing(Topic.REPORTS, 0, key("default", proxy), orjson.dumps(one))])

        async def gateway() -> dict[str, Any]:
            found: dict[str, Any] = (await converged(log)).get(str(GATEWAY), {})
            return found

        async def is_gone() -> bool:
            await reported("publisher/b/1", {"event": "serving", "publisher": "b/1"})
            return (await gateway()).get("lowest") == 7

        async def is_back() -> bool:
            return (await gateway())["lowest"] == 4

        await reported(PROXY, report("ack", 3) | {"publisher": "a/1"})
        await reported(f"{GATEWAY}/p1", report("ack", 7, "p1") | {"publisher": "b/1"})
        async with projecting(ProjectOptions(log, tmp_path / "faust", turn=0.2)):
            await until(is_gone)
            assert {name: one["connected"] for name, one in (await gateway())["proxies"].items()} == {"p0": False, "p1": True}
            # It was only cut off.
            await reported(PROXY, report("ack", 4) | {"publisher": "a/1"})
            await until(is_back)


@pytest.mark.kafka
async def test_a_replica_without_rows_takes_nobodys_place(broker: str, tmp_path: Path) -> None:
    async with kafka_log(broker) as log, log.writer("convergence-default") as writer:
        row = [Outgoing(Topic.CONVERGENCE, 0, key("default", str(GATEWAY)), b"{}")]
        task = asyncio.ensure_future(_write(ProjectOptions(log, tmp_path), {}, Proxies()))
        for _ in range(20):  # What a second writer needs to fence the first.
            await writer.write(row)
        assert not task.done()
        task.cancel()
        await asyncio.wait({task})
