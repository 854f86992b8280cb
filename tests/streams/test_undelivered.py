"""A host that drops, skips, repeats and delays records, that falls silent or pauses for ever: each offset is applied once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from random import Random

import orjson
import pytest

from engine.engine import EngineSettings
from streams.codec import encode_change_set
from streams.domain import Domain, DomainOptions
from streams.host import Host
from streams.memory import MemoryLog
from streams.ports import Record
from streams.resolver import Crashed, ResolveOptions, _hosted
from streams.telemetry.metrics import UNDELIVERED, Meters, Metric
from streams.topics import Topic
from tests.streams.resolver_process import SEALER
from tests.streams.toy import TIME, ToyEngine, append, change_set, put, records, shows, until

_SECONDS = 30.0
"""For what hangs only."""


class Counted(Meters):
    """Keeps what is counted."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}

    def count(self, metric: Metric, *labels: str, amount: int = 1) -> None:  # noqa: ARG002
        self.counted[metric.name] = self.counted.get(metric.name, 0) + amount

    @property
    def undelivered(self) -> int:
        return self.counted.get(UNDELIVERED.name, 0)


class Read(MemoryLog):
    """Counts how often the log of changes is read."""

    reads = 0

    async def read(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        self.reads += topic is Topic.CHANGES
        async for batch in super().read(topic, partition, start):
            yield batch


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.host._LOOK_SECONDS", 0.02)


@asynccontextmanager
async def owned(log: MemoryLog, meters: Meters) -> AsyncIterator[Host]:
    """A host that has the domain, and is ready."""
    host = Host(lambda _: Domain(log, ToyEngine, DomainOptions(clock=lambda: TIME)), {0}, meters=meters)
    await host.assigned({0})
    try:
        await until(lambda: _is(lambda: 0 in host.offsets()), _SECONDS)
        yield host
    finally:
        await host.stop()


async def _is(question: Callable[[], bool]) -> bool:
    return question()


async def deliver(host: Host, some: Iterable[Record]) -> None:
    for one in some:
        await host.deliver(one)


async def applied(log: MemoryLog) -> list[int]:
    """The offsets that were told as applied, in the order in which they were."""
    rows = [orjson.loads(row.value or b"") for row in await records(log, Topic.UPDATES) if row.key == b"default"]
    return [one["offset"] for one in rows]


async def all_once(log: MemoryLog) -> None:
    """Each change set of the log was applied once, in order."""
    wanted = [row.offset for row in await records(log, Topic.CHANGES)]

    async def done() -> bool:
        return len(await applied(log)) >= len(wanted)

    try:
        await until(done, _SECONDS)
    finally:
        assert await applied(log) == wanted


async def test_what_is_never_delivered_is_read_from_the_log() -> None:
    log, meters = MemoryLog(), Counted()
    async with owned(log, meters):
        await append(log, change_set(put("a", 1)), change_set(put("b", 1)))
        await all_once(log)
        assert meters.undelivered == 1
        await append(log, change_set(put("a", 2)))
        await all_once(log)
        assert meters.undelivered == 2


@pytest.mark.parametrize("left_out", [[0], [1], [2], [0, 1], [1, 2]])
async def test_a_hole_is_read_before_what_comes_behind_it(left_out: list[int]) -> None:
    log, meters = MemoryLog(), Counted()
    async with owned(log, meters) as host:
        await append(log, change_set(put("before", 1)))
        await deliver(host, await records(log, Topic.CHANGES))
        await shows(log, {"before": 1})
        await append(log, *(change_set(put("a", number), put(str(number), 1)) for number in range(4)))
        new = (await records(log, Topic.CHANGES))[1:]
        await deliver(host, [one for at, one in enumerate(new) if at not in left_out])
        await all_once(log)
        await shows(log, {"before": 1, "a": 3, **{str(number): 1 for number in range(4)}})
        assert meters.undelivered == 1


async def test_a_hole_of_one_offset_is_none_where_the_log_was_read_to_its_end() -> None:
    """A commit's marker takes one offset, but not behind an end: there it is a change set of several in a transaction."""
    log, meters = MemoryLog(), Counted()
    async with owned(log, meters) as host:
        async with log.writer("source") as writer:
            sets = [change_set(put("a", number)) for number in range(3)]
            await writer.write([record for one in sets for record in encode_change_set(one)])
        await deliver(host, (await records(log, Topic.CHANGES))[1:])
        await all_once(log)
        assert meters.undelivered == 1


async def test_markers_and_repetitions_are_no_holes_and_cost_no_read() -> None:
    log, meters = Read(), Counted()
    async with owned(log, meters) as host:
        before = log.reads
        for number in range(15):
            await append(log, change_set(put("a", number)), change_set(put("b", number)))
            found = await records(log, Topic.CHANGES)
            log.reads -= 1  # that was ours
            await deliver(host, found[-5:])
            await all_once(log)
            log.reads -= 1
        assert (log.reads - before, meters.undelivered) == (0, 0)


async def test_while_nothing_comes_the_log_is_looked_at_and_not_read() -> None:
    log, meters, looks = Read(), Counted(), 0
    async with owned(log, meters) as host:
        await append(log, change_set(put("a", 1)))
        await deliver(host, await records(log, Topic.CHANGES))
        await shows(log, {"a": 1})
        before, ends = log.reads, log.ends

        async def counted(topic: Topic, partition: int) -> tuple[int, int]:
            nonlocal looks
            looks += 1
            return await ends(topic, partition)

        log.ends = counted  # type: ignore[method-assign]
        await until(lambda: _is(lambda: looks > 5), _SECONDS)
        assert (log.reads - before, meters.undelivered) == (0, 0)


async def test_who_keeps_a_domain_reads_what_was_let_go_of_in_the_hand_over() -> None:
    log, meters = MemoryLog(), Counted()
    async with owned(log, meters) as host:
        await host.pause()
        await append(log, change_set(put("a", 1)))
        await host.assigned({0})
        await all_once(log)
        assert meters.undelivered == 0, "nobody had to find out"


async def test_what_comes_late_and_in_any_order_is_applied_once() -> None:
    chance = Random(7)
    log, meters = MemoryLog(), Counted()
    async with owned(log, meters) as host:
        held: list[Record] = []
        at = 0
        for number in range(200):
            await append(log, change_set(put(str(number % 7), number)))
            (new,) = [row async for batch in log.read(Topic.CHANGES, 0, at) for row in batch]
            at = new.offset + 1
            match chance.randrange(6):
                case 0:
                    pass  # never delivered
                case 1:
                    held.append(new)
                case 2:
                    await deliver(host, [new, *held, new])
                    held = []
                case _:
                    await deliver(host, [new])
            if chance.random() < 0.1:
                await asyncio.sleep(0.03)
            if chance.random() < 0.05:
                await host.pause()
                await host.assigned({0})
        await all_once(log)
    offsets = await applied(log)
    assert all(one < other for one, other in pairwise(offsets))


async def test_an_outage_while_nothing_comes_costs_the_domain_nothing() -> None:
    """It looks at the log all the time: what it holds in memory must not be read anew for that."""
    log = MemoryLog()
    async with owned(log, Counted()) as host:
        await append(log, change_set(put("a", 1)))
        await deliver(host, await records(log, Topic.CHANGES))
        await shows(log, {"a": 1})
        epochs = log._epochs["resolver-default"]
        log.down = True
        turned_away = log.turned_away
        await until(lambda: _is(lambda: log.turned_away > turned_away + 3), _SECONDS)
        assert host.offsets()
        await log.resume()
        await append(log, change_set(put("a", 2)))
        await shows(log, {"a": 2})
        assert log._epochs["resolver-default"] == epochs, "nor did it become another writer"


@asynccontextmanager
async def _adapter() -> AsyncIterator[Callable[[], bool]]:
    yield lambda: False


async def _ends(log: MemoryLog, host: Host, folder: Path) -> str:
    """Why the process that hosts it ends."""
    options = ResolveOptions(log, SEALER, EngineSettings(), folder)  # type: ignore[arg-type]
    with pytest.raises(ExceptionGroup) as group:
        async with asyncio.timeout(_SECONDS):
            await _hosted(options, host, _adapter(), lambda: None)
    (error,) = group.value.exceptions
    assert isinstance(error, Crashed)
    return str(error)


async def test_a_host_that_falls_silent_ends_the_process(tmp_path: Path) -> None:
    log, meters = MemoryLog(), Counted()

    async def changes() -> None:
        for number in range(1000):
            await append(log, change_set(put("a", number)))
            await asyncio.sleep(0.02)

    async with owned(log, meters) as host:
        going = asyncio.create_task(changes())
        assert "delivers nothing" in await _ends(log, host, tmp_path)
        going.cancel()
    assert meters.undelivered >= 10


async def test_transactions_that_leave_nothing_to_read_are_no_silence() -> None:
    """Of what was aborted only offsets stay: there is nothing that could have been delivered."""
    log, meters, aborted = MemoryLog(), Counted(), 0
    async with owned(log, meters) as host:
        ends = log.ends

        async def more(topic: Topic, partition: int) -> tuple[int, int]:
            nonlocal aborted
            aborted += 3
            first, end = await ends(topic, partition)
            return first, end + aborted

        log.ends = more  # type: ignore[method-assign]
        await until(lambda: _is(lambda: aborted > 100), _SECONDS)
        assert not host.is_silent()
        assert meters.undelivered == 0


@pytest.mark.parametrize("joined", [True, False], ids=["revoked", "never-joined"])
async def test_a_pause_without_end_ends_the_process_but_not_while_kafka_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, joined: bool
) -> None:
    monkeypatch.setattr("streams.resolver._PAUSE_SECONDS", 0.1)
    monkeypatch.setattr("streams.resolver._POLL_SECONDS", 0.01)
    log = MemoryLog()
    host = Host(lambda _: Domain(log, ToyEngine, DomainOptions(clock=lambda: TIME)), {0})
    if joined:
        await host.assigned(set())  # it stands by
        await host.pause()
    log.down = True
    ending = asyncio.create_task(_ends(log, host, tmp_path))
    await until(lambda: _is(lambda: log.turned_away > 5), _SECONDS)
    assert not ending.done()
    await log.resume()
    assert "no assignment" in await ending


async def test_a_pause_that_waits_for_ours_is_not_the_hosts_fault() -> None:
    log = MemoryLog()
    async with owned(log, Counted()) as host:
        one = host._owned[0]
        async with one.lock:
            pausing = asyncio.create_task(host.pause())
            await asyncio.sleep(0)
            assert not host.is_paused()
        await pausing
        assert host.is_paused()
        await host.assigned({0})
        assert not host.is_paused()
