"""Seconds from a change to each proxy's acknowledgement: of every change once, and of none that a proxy found done."""

from __future__ import annotations

from streams.codec import progress_records
from streams.domain import Domain, DomainOptions
from streams.memory import MemoryLog
from streams.ports import Outgoing, Record
from streams.telemetry import Telemetry
from streams.topics import Topic
from streams.view import follow_table
from streams.xds.journey import Journeys
from streams.xds.messages import Node
from tests.streams.toy import TIME, ToyEngine, append, change_set, put, records
from tests.telemetry.told import Told

_GATEWAY = "local/gateway.networking.k8s.io/Gateway/default/gw"
_STAGE = "penstock_stage_seconds"


class Travel:
    """Journeys with a clock of the test's own; a change of offset n is said at n, and written at n + 0.25."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told = Told()
        self.journeys = Journeys(Telemetry(meters=self.told, time=lambda: self.now))

    def serve(self, *offsets: int, at: float) -> None:
        self.now = at
        self.journeys.served([_closing(one) for one in offsets], {_GATEWAY: set(offsets)})

    def acknowledge(self, proxy: str, offset: int, at: float) -> float | None:
        self.now = at
        return self.journeys.acknowledged(_node(proxy), offset).seconds

    def stage(self, name: str) -> list[float]:
        return self.told.seconds.get((_STAGE, name), [])


def _closing(offset: int) -> Record:
    mark = {"time": f"1970-01-01T00:00:{offset:02}.000Z", "engine": "1"}
    row = next(one for one in progress_records("default", 0, offset, mark) if one.topic is Topic.XDS)
    return Record(Topic.XDS, 0, offset, row.key, row.value, row.headers, offset * 1000 + 250)


def _node(proxy: str) -> Node:
    return Node(proxy, _GATEWAY, "1.40.0")


def test_each_proxy_acknowledges_each_change_once() -> None:
    travel = Travel()
    travel.serve(1, at=2.0)
    for proxy in ("a", "b"):
        travel.journeys.connected(_node(proxy))
    travel.serve(3, 4, at=5.0)
    travel.acknowledge("a", 4, at=6.0)
    travel.acknowledge("a", 4, at=7.0)
    travel.acknowledge("b", 3, at=8.0)
    travel.acknowledge("b", 4, at=9.0)
    assert travel.stage("publish") == [0.75, 1.75, 0.75]
    assert travel.stage("acknowledge") == [1.0, 1.0, 3.0, 4.0]
    assert travel.stage("total") == [2.0, 3.0, 5.0, 5.0]


def test_an_acknowledgement_took_as_long_as_its_oldest_change() -> None:
    travel = Travel()
    travel.journeys.connected(_node("a"))
    travel.serve(3, 4, at=5.0)
    assert travel.acknowledge("a", 4, at=6.0) == 3.0
    assert travel.acknowledge("a", 4, at=7.0) is None


def test_who_comes_later_has_nothing_to_acknowledge_of_before() -> None:
    travel = Travel()
    travel.journeys.connected(_node("a"))
    travel.serve(1, at=2.0)
    travel.journeys.connected(_node("b"))
    travel.acknowledge("b", 1, at=3.0)
    travel.journeys.disconnected(_node("a"))
    travel.journeys.connected(_node("a"))
    travel.acknowledge("a", 1, at=4.0)
    assert travel.stage("acknowledge") == []


def test_what_is_emitted_once_more_is_no_change() -> None:
    travel = Travel()
    travel.journeys.connected(_node("a"))
    travel.serve(1, at=2.0)
    travel.serve(1, at=30.0)
    assert travel.stage("publish") == [0.75]


def test_nothing_is_kept_where_nobody_acknowledges() -> None:
    travel = Travel()
    for offset in range(1, 50):
        travel.serve(offset, at=float(offset))
    assert not travel.journeys._changes
    travel.journeys.connected(_node("a"))
    travel.serve(50, at=50.0)
    travel.journeys.disconnected(_node("a"))
    assert not travel.journeys._changes
    assert not travel.journeys._proxies


async def test_a_domain_tells_what_it_resolved_and_what_it_rejected() -> None:
    log, told = MemoryLog(), Told()
    telemetry = Telemetry(meters=told)
    domain = Domain(log, ToyEngine, DomainOptions(clock=lambda: TIME, telemetry=telemetry))
    await append(log, change_set(put("a", 1)))
    async with log.writer("other") as writer:
        await writer.write([Outgoing(Topic.CHANGES, 0, b"default", b"garbage")])
    await append(log, change_set(put("b", 1)))
    await domain.acquire()
    await domain.release()
    assert told.counts["penstock_changes_resolved_total",] == 2
    assert told.counts["penstock_records_rejected_total",] == 1
    assert len(told.seconds[_STAGE, "resolve"]) == 2


async def test_what_closes_updates_is_told_with_them_but_not_of_a_snapshot() -> None:
    log = MemoryLog()
    domain = Domain(log, ToyEngine, DomainOptions(clock=lambda: TIME))
    await append(log, change_set(put("a", 1)))
    await domain.acquire()
    batches = follow_table(log, Topic.XDS, 0)
    assert (await anext(batches)).closings == ()
    await append(log, change_set(put("b", 1)), change_set(put("c", 1)))
    async for missing in domain.missing():
        await domain.apply(missing)
    found = (await anext(batches)).closings
    assert [one.header("offset") for one in found] == [str(row.offset) for row in (await records(log, Topic.CHANGES))[-2:]]
    await domain.release()
