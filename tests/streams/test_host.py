"""Domains on a host: hand-over, zombies, pauses, and a host that is never made to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import RequestTimedOutError

from engine.events import EngineChanged
from streams.codec import encode_change_set
from streams.domain import Domain, DomainOptions
from streams.group import _Listener
from streams.host import Host
from streams.memory import MemoryLog
from streams.ports import Outgoing, Record, Unavailable
from streams.topics import Topic
from tests.streams.toy import TIME, ToyEngine, append, change_set, put, records, shows, things, until, wanted


class Delivery:
    """Hands records of the log to hosts as a group would: from where it is asked to, each at least once."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.at = 0

    async def go(self, *hosts: Host) -> None:
        found = [row async for batch in self.log.read(Topic.CHANGES, 0, self.at) for row in batch]
        for row in found:
            self.at = row.offset + 1
            for host in hosts:
                await host.deliver(row)


@asynccontextmanager
async def hosted(log: MemoryLog, session: float = 0.05) -> AsyncIterator[Host]:
    options = DomainOptions(clock=lambda: TIME)
    host = Host(lambda _: Domain(log, ToyEngine, options), {0}, session)
    try:
        yield host
    finally:
        await host.stop()


async def ready(host: Host) -> None:
    async def question() -> bool:
        return 0 in host.offsets()

    await until(question)


async def test_an_assigned_domain_catches_up_and_goes_on() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    async with hosted(log) as host:
        assert host.offsets() == {}
        await host.assigned({0, 1, 2})  # the topic has more partitions than are ours
        await shows(log, {"a": 1})
        await ready(host)
        assert set(host.offsets()) == {0}
        await append(log, change_set(put("b", 1)))
        await Delivery(log).go(host)
        await shows(log, {"a": 1, "b": 1})
        assert host.offsets() == {0: (await records(log, Topic.CHANGES))[-1].offset}
    assert host.offsets() == {}


async def test_a_domain_moves_and_the_old_owner_drops_what_comes_late() -> None:
    log = MemoryLog()
    async with hosted(log) as one, hosted(log) as two:
        delivery = Delivery(log)
        await one.assigned({0})
        await ready(one)
        await append(log, change_set(put("a", 1)))
        await delivery.go(one)
        await shows(log, {"a": 1})
        await asyncio.gather(one.pause(), two.pause())
        await append(log, change_set(put("a", 2)))
        await asyncio.gather(one.assigned(set()), two.assigned({0}))
        await delivery.go(one)  # to whom it is not assigned any more
        await shows(log, {"a": 2})
        assert one.offsets() == {}


async def test_a_zombie_is_fenced_and_takes_nothing_back() -> None:
    log = MemoryLog()
    async with hosted(log) as zombie, hosted(log) as owner:
        await zombie.assigned({0})
        await ready(zombie)
        await owner.assigned({0})
        await ready(owner)
        await append(log, change_set(put("a", 1)))
        await Delivery(log).go(zombie)
        await until(lambda: _gone(zombie))
        await Delivery(log).go(owner)
        await shows(log, {"a": 1})
        assert owner.offsets()


async def _gone(host: Host) -> bool:
    return host.offsets() == {}


async def test_the_fenced_owner_waits_a_session_unless_an_assignment_says_otherwise() -> None:
    log = MemoryLog()
    async with hosted(log, session=3600) as host:
        await host.assigned({0})
        await host.assigned({0})  # a rebalance that leaves it here; it writes afterwards
        await ready(host)
        async with log.writer("resolver-default"):
            await append(log, change_set(put("a", 1)))
            await Delivery(log).go(host)
            await until(lambda: _gone(host))
            for _ in range(50):
                await asyncio.sleep(0)
            assert await things(log) == {}
        await host.pause()
        await host.assigned({0})
        await shows(log, {"a": 1})


async def test_while_paused_nothing_is_written_and_afterwards_nothing_is_lost() -> None:
    log = MemoryLog()
    async with hosted(log) as host:
        await host.assigned({0})
        await ready(host)
        await host.pause()
        await append(log, change_set(put("a", 1)))
        await Delivery(log).go(host)
        for _ in range(50):
            await asyncio.sleep(0)
        assert await things(log) == {}
        await host.assigned({0})
        await shows(log, {"a": 1})


async def test_a_full_queue_makes_nobody_wait_and_loses_nothing() -> None:
    log = MemoryLog()
    many = 5000  # more than two queues
    async with hosted(log) as host:
        await host.assigned({0})
        await ready(host)
        await host.pause()
        async with log.writer("s") as writer:
            for number in range(many):
                await writer.write(encode_change_set(change_set(put("a", number), name=str(number))))
        delivery = Delivery(log)
        async with asyncio.timeout(240):
            await delivery.go(host)
        await host.assigned({0})
        await shows(log, {"a": many - 1})
        await append(log, change_set(put("b", 1)))
        await delivery.go(host)
        await shows(log, {"a": many - 1, "b": 1})
    updates = [
        orjson.loads(row.value or b"")["offset"]
        for row in await records(log, Topic.UPDATES)
        if b"~" not in (row.key or b"")
    ]
    assert updates == [row.offset for row in await records(log, Topic.CHANGES)]


async def test_a_stopped_domain_does_not_hold_up_its_host() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    async with log.writer("s") as writer:
        await writer.write([Outgoing(Topic.CHANGES, 0, b"default", b'{"schema": 2}')])
    async with hosted(log) as host:
        await host.assigned({0})
        await shows(log, {"a": 1})
        async with asyncio.timeout(240):
            for _ in range(5000):
                await host.deliver(Record(Topic.CHANGES, 0, 9, b"k", b"x", (), 0))
        assert host.offsets() == {}


async def test_an_outage_is_waited_for() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    log.down = True
    async with hosted(log) as host:
        await host.assigned({0})
        for _ in range(50):
            await asyncio.sleep(0)
        assert host.offsets() == {}
        await log.resume()
        await shows(log, {"a": 1})
        delivered = Delivery(log)
        await append(log, change_set(put("a", 2)))
        log.down = True
        with pytest.raises(Unavailable):
            await delivered.go(host)
        log.down = False
        await delivered.go(host)
        await shows(log, {"a": 2})


async def test_a_defect_leaves_the_host_alive_and_the_last_state_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.host._DEFECT_SECONDS", 0.01)
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    broken = [True]

    class Mended(ToyEngine):
        def apply(self, change_set, offset):
            if broken[0] and any(isinstance(one, EngineChanged) for one in change_set.changes):
                raise RuntimeError("a defect")
            return super().apply(change_set, offset)

    host = Host(lambda _: Domain(log, Mended, DomainOptions(clock=lambda: TIME)), {0}, 0.05)
    await host.assigned({0})
    try:
        await ready(host)
        await append(log, change_set(EngineChanged("x"), put("a", 2)))
        await Delivery(log).go(host)
        await until(lambda: _gone(host))
        assert await things(log) == wanted({"a": 1})
        broken[0] = False
        await shows(log, {"a": 2})
    finally:
        await host.stop()


class _Ends:
    """A group's consumer that gets no answer at first."""

    def __init__(self) -> None:
        self.asked = 0

    async def end_offsets(self, assigned: set[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked += 1
        if self.asked == 1:
            raise RequestTimedOutError
        return dict.fromkeys(assigned, 0)

    def seek(self, at: TopicPartition, end: int) -> None:
        assert (at.partition, end) == (0, 0)


async def test_an_assignment_waits_for_the_ends_of_its_partitions() -> None:
    """The client swallows what its listener raises: the domain was paused for ever, and nobody was told."""
    async with hosted(MemoryLog()) as host:
        await _Listener(host, _Ends()).on_partitions_assigned({TopicPartition("penstock.changes", 0)})
        await ready(host)


@pytest.mark.parametrize("steps", range(5))
async def test_a_fenced_owner_that_is_let_go_while_it_is_assigned_ends(steps: int) -> None:
    """Whenever its assignment comes: a cancellation that is lost there would be waited for for ever."""
    log = MemoryLog()
    async with hosted(log, session=3600) as host:
        await host.assigned({0})
        await ready(host)
        await append(log, change_set(put("a", 1)))
        async with log.writer("resolver-default"):
            await Delivery(log).go(host)
            await until(lambda: _gone(host))
        for _ in range(50):
            await asyncio.sleep(0)
        host._reassigned.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        async with asyncio.timeout(240):
            await host.stop()


async def test_what_waits_in_memory_is_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few large change sets weigh as much as many small ones: what is too much is read from the log again."""
    monkeypatch.setattr("streams.host._QUEUE_BYTES", 10_000)
    log = MemoryLog()
    async with hosted(log) as host:
        await host.assigned({0})
        await ready(host)
        await host.pause()
        await append(log, *(change_set(put(str(number), "x" * 1_000)) for number in range(50)))
        await Delivery(log).go(host)
        assert host._owned[0].waiting <= 10_000
        assert len(host._owned[0].queue) < 10
        await host.assigned({0})
        await shows(log, {str(number): "x" * 1_000 for number in range(50)})
        assert host._owned[0].waiting == 0
        # And then as before: one that alone weighs more is taken, too.
        await append(log, change_set(put("last", "x" * 20_000)))
        await Delivery(log).go(host)
        await shows(log, {**{str(number): "x" * 1_000 for number in range(50)}, "last": "x" * 20_000})
