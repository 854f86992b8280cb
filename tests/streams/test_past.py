"""The log read at another offset: from checkpoints it is what a fold from the beginning gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from engine.engine import Engine
from engine.events import Change, ChangeSet
from engine.fold import CHANGED
from engine.seal import KEY_BYTES, Sealer
from streams import checkpoints, memory
from streams.checkpoints import Mark, marks, write_checkpoint
from streams.codec import decode_change_set, encode_change_set
from streams.domain import Domain
from streams.kafka import KafkaLog
from streams.memory import MemoryLog
from streams.past import NotKept, engine_at, last_offset, milliseconds, offset_at
from streams.ports import Log, LogError, Outgoing, Record
from streams.projections.checkpoints import checkpoint_if_due
from streams.topics import Topic, topic_name
from tests.streams.toy import forget, kafka_log
from tests.support.manifests import delete, endpoints, gateway, route, service

_SEALER = Sealer(bytes(KEY_BYTES))


def make() -> Engine:
    return Engine(_SEALER)


def changes(many: int, seed: int = 1) -> list[Change]:
    """Routes of thirty names that come, change and go."""
    chance, there = Random(seed), dict[str, Change]()
    found: list[Change] = [gateway(), service("s0"), endpoints("s0")]
    for number in range(many):
        name = f"r{chance.randrange(30)}"
        if name in there and chance.random() < 0.2:
            found.append(delete(there.pop(name)))
        else:
            there[name] = route(name, "s0", f"/{number}", number + 1)
            found.append(there[name])
    return found


async def written(log: Log, found: list[Change], every: int = 0) -> None:
    """Each a change set of its own, resolved at the end, and after so many, each time with a checkpoint."""
    domain = Domain(log, make)
    async with log.writer("source") as source, log.writer("checkpoints") as writer:
        for number, one in enumerate(found, 1):
            at = f"2026-11-24T14:{number // 60:02d}:{number % 60:02d}.000Z"
            await source.write(encode_change_set(ChangeSet("default", "local", "files", str(number), at, "me", (one,))))
            if every and number % every == 0:
                await domain.acquire()
                assert await write_checkpoint(log, writer, 0) is not None
    await domain.acquire()
    await domain.release()


async def from_the_beginning(log: Log, to: int) -> Engine:
    engine = make()
    async for records in log.read(Topic.CHANGES, 0):
        for record in records:
            if record.offset <= to:
                engine.apply(decode_change_set(record), record.offset)
    return engine


def picture(engine: Engine) -> dict[str, Any]:
    update = engine.everything()
    state = {key: row for key, row in engine.state().items() if not key.startswith(CHANGED)}
    statuses = {key: one["status"] for key, one in update.statuses.set.items()}
    return {"state": state, "fragments": update.fragments.set, "nodes": update.nodes.set, "statuses": statuses}


async def test_any_moment_is_what_a_fold_from_the_beginning_gives(log: Log) -> None:
    await written(log, changes(60), every=20)
    _, end = await log.ends(Topic.CHANGES, 0)
    assert len(await marks(log, 0)) == 3
    for to in (0, 1, 20, 39, 40, 41, 77, end - 1):
        assert picture(await engine_at(log, 0, make, to)) == picture(await from_the_beginning(log, to)), to


async def test_a_moment_reads_no_more_than_what_came_since_its_checkpoint(log: Log) -> None:
    await written(log, changes(60), every=20)
    folded: list[int] = []

    class Counting(Engine):
        def fold(self, change_set: ChangeSet, offset: int) -> list[str]:
            folded.append(offset)
            return super().fold(change_set, offset)

    last = (await marks(log, 0))[-1].offset
    await engine_at(log, 0, lambda: Counting(_SEALER), last + 4)
    assert folded
    assert min(folded) > last


class Reading(MemoryLog):
    """How many records of each topic were read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = Counter[Topic]()

    async def read(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        async for records in super().read(topic, partition, start):
            self.reads[topic] += len(records)
            yield records

    async def pick(self, topic: Topic, partition: int, offsets: Iterable[int]) -> AsyncGenerator[Record]:
        async for record in super().pick(topic, partition, offsets):
            self.reads[topic] += 1
            yield record


async def test_a_moment_of_a_longer_log_reads_and_folds_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of checkpoints the closing record and its own: what comes in one batch with them is unpacked, too."""
    monkeypatch.setattr(memory, "_BATCH", 8)
    found = []
    for many in (60, 200):
        log, folded = Reading(), list[int]()
        await written(log, changes(many), every=20)
        log.reads.clear()

        class Counting(Engine):
            def fold(self, change_set: ChangeSet, offset: int, folded: list[int] = folded) -> list[str]:
                folded.append(offset)
                return super().fold(change_set, offset)

        mark = (await marks(log, 0))[0]
        looked = log.reads[Topic.CHECKPOINTS]
        log.reads.clear()
        await engine_at(log, 0, lambda: Counting(_SEALER), mark.offset + 4)  # noqa: B023  at once
        assert log.reads[Topic.CHECKPOINTS] == looked + mark.records
        found.append((len(folded), dict(log.reads)))
    assert found[0] == found[1]
    assert 0 < found[0][0] <= 4


@pytest.mark.parametrize("to", [-1, 10**6])
async def test_what_the_log_does_not_hold_is_told(log: Log, to: int) -> None:
    await written(log, changes(3))
    end = (await log.ends(Topic.CHANGES, 0))[1]
    with pytest.raises(NotKept, match=f"there is no offset {to}: the log holds 0 to {end - 1}"):
        await engine_at(log, 0, make, to)


async def test_a_checkpoint_that_was_never_closed_is_none(log: Log) -> None:
    await written(log, changes(40), every=20)
    before = await marks(log, 0)
    async with log.writer("checkpoints") as writer:
        await writer.write([Outgoing(Topic.CHECKPOINTS, 0, b"default/99", b'{"resource/x": {}}')])
        forged = (b"null", b'{"marks": 7}', b'{"marks": [[1, 2, 3]]}', b'{"marks": [[1, -2, 3, 4]]}', b"\xff")
        await writer.write([Outgoing(Topic.CHECKPOINTS, 0, b"default/~checkpoint", one) for one in forged])
    assert await marks(log, 0) == before
    end = (await log.ends(Topic.CHANGES, 0))[1]
    assert picture(await engine_at(log, 0, make, end - 1)) == picture(await from_the_beginning(log, end - 1))


async def test_a_checkpoint_that_is_not_whole_is_told_and_not_taken_for_the_past(log: Log) -> None:
    await written(log, changes(20), every=20)
    (mark,) = await marks(log, 0)
    lacking = mark._replace(offset=mark.offset + 1), mark._replace(rows=mark.rows + 1), mark._replace(records=9)
    for one in lacking:
        with pytest.raises(LogError, match=f"checkpoint of offset {one.offset} is not whole"):
            await checkpoints.rows_of(log, 0, one)
    assert len(await checkpoints.rows_of(log, 0, mark)) == mark.rows


async def test_one_is_written_when_enough_was_applied_and_not_twice(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 20)
    await written(log, changes(1))
    assert await checkpoint_if_due(log, "default", 0, None) is None
    await written(log, changes(20, seed=2))
    mark = await checkpoint_if_due(log, "default", 0, None)
    assert mark is not None
    assert await checkpoint_if_due(log, "default", 0, None) == mark, "another replica looks"
    assert await marks(log, 0) == (mark,)


def test_each_costs_all_objects_so_many_objects_are_written_seldom() -> None:
    assert not checkpoints.is_due(None, checkpoints.EVERY - 1)
    assert checkpoints.is_due(None, checkpoints.EVERY)
    last = Mark(1_000, 0, 1, 100_000)
    assert not checkpoints.is_due(last, 1_000 + 24_999)
    assert checkpoints.is_due(last, 1_000 + 25_000)


async def test_a_time_names_the_last_offset_that_was_there(log: Log) -> None:
    await written(log, changes(60))
    sets = {}
    async for records in log.read(Topic.CHANGES, 0):
        sets |= {record.offset: record for record in records}
    now = max(record.timestamp for record in sets.values())
    assert await offset_at(log, 0, now) == max(sets)
    later = await offset_at(log, 0, milliseconds("2099-01-01T00:00:00Z"))
    assert later == max(sets)
    if isinstance(log, KafkaLog):
        with pytest.raises(NotKept, match="the log begins later than that"):
            await offset_at(log, 0, milliseconds("1999-01-01T00:00:00Z"))


@pytest.mark.kafka
async def test_a_time_is_found_before_a_long_transaction_that_was_aborted(broker: str) -> None:
    """A source that is killed amid a listing leaves as many offsets as it had written, and no record."""
    async with kafka_log(broker) as log:
        await written(log, changes(3))
        _, end = await log.ends(Topic.CHANGES, 0)
        producer = AIOKafkaProducer(bootstrap_servers=broker, transactional_id="killed")
        await producer.start()
        await producer.begin_transaction()
        for _ in range(100):
            await producer.send_and_wait(topic_name(Topic.CHANGES, log.prefix), b"x", key=b"default/x", partition=0)
        await producer.abort_transaction()
        await producer.stop()
        assert (await log.ends(Topic.CHANGES, 0))[1] > end + 100
        assert await offset_at(log, 0, milliseconds("2099-01-01T00:00:00Z")) == await last_offset(log, 0)


@pytest.mark.kafka
async def test_a_log_that_lost_its_beginning_begins_at_its_oldest_checkpoint(broker: str) -> None:
    async with kafka_log(broker) as log:
        await written(log, changes(40), every=20)
        end = (await log.ends(Topic.CHANGES, 0))[1]
        wanted = picture(await from_the_beginning(log, end - 1))
        first, second = await marks(log, 0)
        await forget(log, Topic.CHANGES, first.offset + 3)
        with pytest.raises(NotKept, match=f"the first moment that can be read is {second.offset}"):
            await engine_at(log, 0, make, first.offset + 4)
        assert picture(await engine_at(log, 0, make, end - 1)) == wanted
