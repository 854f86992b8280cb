"""A domain folds its log once and completely, whatever was there before and however it is delivered."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import ChangeSet, Delete
from streams.codec import encode_change_set
from streams.domain import Domain, DomainOptions, DomainStopped
from streams.memory import MemoryLog
from streams.ports import TRANSACTION_SECONDS, Fenced, Outgoing, Unavailable, Writer
from streams.topics import OUTPUTS, Topic
from streams.updates import decode_update
from streams.view import read_table
from tests.streams.toy import (
    TIME,
    DefectError,
    Late,
    ToyEngine,
    append,
    change_set,
    put,
    records,
    thing,
    things,
    wanted,
)


def domain(log: MemoryLog, flavour: str = "") -> Domain:
    return Domain(log, lambda: ToyEngine(flavour), DomainOptions(version=flavour, clock=lambda: TIME))


async def resolved(log: MemoryLog, flavour: str = "") -> Domain:
    one = domain(log, flavour)
    await one.acquire()
    return one


async def garbage(log: MemoryLog, value: bytes | None) -> None:
    async with log.writer("stranger") as writer:
        await writer.write([Outgoing(Topic.CHANGES, 0, b"default", value)])


async def written(log: MemoryLog) -> dict[Topic, int]:
    """How many records each output has, openings aside."""
    return {
        topic: len([one for one in await records(log, topic) if b"~opening" not in (one.key or b"")])
        for topic in OUTPUTS
    }


async def test_an_empty_log_is_acquired_and_says_nothing() -> None:
    log = MemoryLog()
    one = await resolved(log)
    assert one.offset == -1
    assert set((await written(log)).values()) == {0}


async def test_what_waits_is_caught_up_and_what_comes_is_applied() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)), change_set(put("b", 1), put("c", 1)))
    one = await resolved(log)
    assert await things(log) == wanted({"a": 1, "b": 1, "c": 1})
    await append(log, change_set(put("a", 2), Delete(thing("b"))))
    await one.apply(await records(log, Topic.CHANGES))  # all of it is delivered again
    assert await things(log) == wanted({"a": 2, "c": 1})
    updates = [orjson.loads(row.value or b"") for row in await records(log, Topic.UPDATES) if row.key == b"default"]
    assert [update["offset"] for update in updates] == [row.offset for row in await records(log, Topic.CHANGES)]


async def test_a_restart_reads_state_and_writes_nothing() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)), change_set(put("b", {"deep": [1.5, None, "x"]})))
    await resolved(log, "v1")
    before = await written(log)
    one = await resolved(log, "v1")
    assert await written(log) == before
    assert one.offset == (await log.ends(Topic.CHANGES, 0))[1] - 2


async def test_the_old_owner_is_fenced_and_has_written_nothing() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    old = await resolved(log)
    new = await resolved(log)
    await append(log, change_set(put("a", 2)))
    with pytest.raises(Fenced):
        await old.apply(await records(log, Topic.CHANGES))
    assert await things(log) == wanted({"a": 1})
    await new.apply(await records(log, Topic.CHANGES))
    assert await things(log) == wanted({"a": 2})


async def test_after_a_failed_write_only_acquiring_goes_on() -> None:
    log = MemoryLog()
    one = await resolved(log)
    await append(log, change_set(put("a", 1)))
    delivered = await records(log, Topic.CHANGES)
    log.down = True
    with pytest.raises(Unavailable):
        await one.apply(delivered)
    log.down = False
    await one.acquire()
    assert await things(log) == wanted({"a": 1})


@pytest.mark.parametrize("value", [None, b"", b"\x00\xff", b"[]", b'{"schema":1}'])
async def test_garbage_costs_itself_only_and_is_kept_with_its_reason(value: bytes | None) -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    await garbage(log, value)
    await append(log, change_set(put("b", 1)))
    one = await resolved(log)
    assert await things(log) == wanted({"a": 1, "b": 1})
    (rejected,) = await records(log, Topic.REJECTED)
    bad = (await records(log, Topic.CHANGES))[1]
    assert (rejected.value, rejected.header("offset"), rejected.header("topic")) == (value, str(bad.offset), "changes")
    assert rejected.header("reason")
    assert one.offset > bad.offset


async def test_garbage_at_the_end_is_progress_too() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    await garbage(log, b"junk")
    first = await resolved(log)
    second = await resolved(log)
    assert first.offset == second.offset == (await records(log, Topic.CHANGES))[1].offset
    assert len(await records(log, Topic.REJECTED)) == 1
    assert {(await read_table(log, topic, 0)).progress for topic in OUTPUTS if topic is not Topic.UPDATES} == {
        first.offset
    }


async def test_what_was_rejected_once_stays_rejected_though_a_later_version_could_read_it() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)), change_set(put("b", 1)))
    bad = (await records(log, Topic.CHANGES))[1]
    async with log.writer("w") as writer:
        headers = (("topic", b"changes"), ("offset", b"%d" % bad.offset), ("reason", b"an older version said so"))
        await writer.write([Outgoing(Topic.REJECTED, 0, bad.key, bad.value, headers)])
    one = await resolved(log)
    assert await things(log) == wanted({"a": 1})
    assert one.offset == bad.offset
    assert len(await records(log, Topic.REJECTED)) == 1


async def test_a_newer_schema_stops_the_domain_exactly_there() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    await garbage(log, b'{"schema": 99}')
    await append(log, change_set(put("a", 2)))
    for _ in range(2):  # the second time too: nothing of it was taken
        with pytest.raises(DomainStopped, match="upgrade penstock"):
            await resolved(log)
        assert await things(log) == wanted({"a": 1})
    assert await records(log, Topic.REJECTED) == []


async def older(log: MemoryLog, topics: set[Topic], keep: int) -> MemoryLog:
    """A copy in which some topics have only their first records."""
    copy = MemoryLog()
    for topic in Topic:
        rows = await records(log, topic)
        async with copy.writer("copy") as writer:
            for row in rows[:keep] if topic in topics else rows:
                await writer.write([Outgoing(topic, 0, row.key, row.value, row.headers)])
    return copy


@pytest.mark.parametrize("topics", [{Topic.CHANGES}, {Topic.CHANGES, Topic.STATE}])
async def test_an_older_copy_of_the_log_is_refused(topics: set[Topic]) -> None:
    log = MemoryLog()
    await append(log, *(change_set(put("a", number)) for number in range(5)))
    await resolved(log)
    copy = await older(log, topics, keep=1)
    before = await things(copy)
    with pytest.raises(DomainStopped, match=r"an older copy of the log was restored.*Bring back the newer copy"):
        await resolved(copy)
    assert await things(copy) == before


@pytest.mark.parametrize("topic", OUTPUTS)
async def test_an_output_that_was_lost_is_filled_again_and_nothing_is_said_twice(topic: Topic) -> None:
    log = MemoryLog()
    await append(log, *(change_set(put("a", number), put("b", 1)) for number in range(5)))
    one = await resolved(log)
    copy = await older(log, {topic}, keep=0)
    again = await resolved(copy)
    assert again.offset == one.offset
    for each in (Topic.XDS, Topic.GRAPH, Topic.STATUS, Topic.INFRA, Topic.STATE):
        assert await things(copy, each) == await things(log, each)
    await append(copy, change_set(put("b", 2)))
    await again.apply(await records(copy, Topic.CHANGES))
    assert await things(copy) == wanted({"a": 4, "b": 2})
    said = [one["offset"] for row in await records(copy, Topic.UPDATES) if (one := decode_update(row)) is not None]
    told = [orjson.loads(row.value or b"")["changes"] for row in await records(copy, Topic.UPDATES) if row.key == b"default"]
    applied = [offset for offset, changes in zip(said, told, strict=True) if changes != [{"verb": "reconcile"}]]
    assert applied == sorted(set(applied))


async def test_a_log_whose_beginning_is_gone_is_refused() -> None:
    class Cut(MemoryLog):
        async def ends(self, topic: Topic, partition: int) -> tuple[int, int]:
            first, end = await super().ends(topic, partition)
            return (end - 2 if topic is Topic.CHANGES else first), end

    log = Cut()
    await append(log, change_set(put("a", 1)), change_set(put("a", 2)))
    with pytest.raises(DomainStopped, match="begins at offset 2, but only -1 was applied"):
        await resolved(log)


async def test_outputs_that_lost_rows_get_only_these_back() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1), put("b", 1), put("c", 1)))
    one = await resolved(log)
    gone = next(row for row in await records(log, Topic.XDS) if (row.key or b"").endswith(b"/b"))
    position = (("offset", str(one.offset).encode()), ("index", str(1 << 41).encode()))
    async with log.writer("vandal") as writer:
        stranger = Outgoing(Topic.XDS, 0, (gone.key or b"") + b"x", b"x", position)
        progress = Outgoing(Topic.XDS, 0, b"default/~progress", b"{}", (position[0], ("index", b"%d" % (1 << 42))))
        await writer.write([Outgoing(Topic.XDS, 0, gone.key, None, position), stranger, progress])
    assert "b" not in {key.rpartition("/")[2] for key in await things(log)}
    before = await written(log)
    await resolved(log)
    assert await things(log) == wanted({"a": 1, "b": 1, "c": 1})
    grew = {topic: count - before[topic] for topic, count in (await written(log)).items()}
    # The fragment, the stranger's removal and the progress record; elsewhere the progress record alone.
    assert grew == {topic: 3 if topic is Topic.XDS else 1 for topic in OUTPUTS}


async def test_a_forged_row_is_replaced() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1), put("b", 1)))
    one = await resolved(log)
    position = (("offset", str(one.offset).encode()), ("index", str(1 << 41).encode()), ("provenance", b"\xff"))
    async with log.writer("vandal") as writer:
        for topic in (Topic.XDS, Topic.GRAPH, Topic.STATUS, Topic.INFRA):
            row = (await records(log, topic))[-2]
            progress = Outgoing(topic, 0, b"default/~progress", b"{}", (position[0], ("index", b"%d" % (1 << 42))))
            await writer.write([Outgoing(topic, 0, row.key, b"\xff", position), progress])
    await resolved(log)
    assert await things(log) == wanted({"a": 1, "b": 1})


@pytest.mark.parametrize("kind", [MemoryLog, Late])
async def test_another_engine_version_has_an_offset_of_its_own(kind: type[MemoryLog]) -> None:
    log = kind()
    await append(log, change_set(put("a", 1)))
    await resolved(log, "v1")
    changes = len(await records(log, Topic.CHANGES))
    one = await resolved(log, "v2")
    assert await things(log) == wanted({"a": 1}, "v2")
    last = (await records(log, Topic.CHANGES))[-1]
    assert len(await records(log, Topic.CHANGES)) == changes + 1
    assert orjson.loads(last.value or b"")["changes"] == [{"verb": "engine_changed", "version": "v2"}]
    assert one.offset == last.offset
    update = orjson.loads((await records(log, Topic.UPDATES))[-1].value or b"")
    assert (update["offset"], update["engine"], update["source"]) == (last.offset, "v2", "resolver")
    before = await written(log)
    await resolved(log, "v2")
    assert await written(log) == before


async def test_a_defect_of_the_engine_is_not_skipped() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)), change_set(put("a", "defect")), change_set(put("b", 1)))
    one = domain(log)
    with pytest.raises(DefectError):
        await one.acquire()
    assert await things(log) == {}


async def test_a_deadline_is_told_and_forgotten() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", {"wake": "2026-11-24T13:00:00.000Z"})))
    one = await resolved(log)
    assert one.wake_at == "2026-11-24T13:00:00.000Z"
    await one.release()
    assert one.wake_at is None
    again = await resolved(log)  # after a restart too
    assert again.wake_at == "2026-11-24T13:00:00.000Z"


_steps = st.lists(
    st.one_of(
        st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), min_size=1, max_size=3),
        st.sampled_from(["garbage", "restart", "down"]),
    ),
    max_size=12,
)


def _set(step: list[tuple[str, int]], name: str) -> ChangeSet:
    # A value of 0 deletes.
    return replace(change_set(name=name), changes=tuple(put(n, v) if v else Delete(thing(n)) for n, v in step))


@given(_steps, st.integers(1, 4))
def test_any_history_comes_to_what_a_clean_fold_gives(steps: list[Any], every: int) -> None:
    """Restarts, lost deliveries, garbage and outages in any order change nothing of the outcome, byte for byte."""

    async def play() -> None:
        log, values = MemoryLog(), dict[str, int]()
        one = await resolved(log)
        for number, step in enumerate(steps):
            if step == "restart":
                one = await resolved(log)
            elif step == "garbage":
                await garbage(log, b"junk")
            elif step == "down":
                log.down = True
                with pytest.raises(Unavailable):
                    await one.acquire()
                log.down = False
                await one.acquire()
            else:
                async with log.writer("s") as writer:
                    await writer.write(encode_change_set(_set(step, str(number))))
                values |= dict(step)
            if number % every == 0:
                await one.apply(await records(log, Topic.CHANGES))
        await one.apply(await records(log, Topic.CHANGES))
        assert await things(log) == wanted({name: value for name, value in values.items() if value})
        clean = MemoryLog()
        for row in await records(log, Topic.CHANGES):
            async with clean.writer("copy") as writer:
                await writer.write([Outgoing(Topic.CHANGES, 0, row.key, row.value, row.headers)])
        await resolved(clean)
        for topic in (Topic.XDS, Topic.GRAPH, Topic.STATUS, Topic.INFRA, Topic.STATE):
            assert await things(log, topic) == await things(clean, topic)

    run(play)


def run(work: Callable[[], Any]) -> None:
    import asyncio

    asyncio.run(work())


class Looking(MemoryLog):
    """Counts, at the first record of each write, how many records of it were made already."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    @asynccontextmanager
    async def writer(self, transactional_id: str, seconds: float = TRANSACTION_SECONDS) -> AsyncIterator[Writer]:
        async with super().writer(transactional_id, seconds) as inner:
            yield _Looking(self, inner)


@dataclass
class _Looking:
    log: Looking
    inner: Writer

    async def write(self, records: Iterable[Outgoing]) -> list[int]:
        coming = iter(records)
        first = next(coming, None)
        there = sum(1 for one in gc.get_objects() if type(one) is Outgoing)
        self.log.most = max(self.log.most, there)
        return await self.inner.write(coming if first is None else chain((first,), coming))


@pytest.mark.parametrize("of", ["an update", "a reconciliation"])
async def test_the_records_of_a_whole_domain_are_never_all_in_memory(of: str) -> None:
    """Made while they are written: of an update, and of a reconciliation after all outputs were lost."""
    log = Looking()
    await append(log, change_set(*(put(f"thing-{number}", number) for number in range(2_000))))
    if of == "a reconciliation":
        await resolved(log)
        lost = Looking()
        for topic in (Topic.CHANGES, Topic.STATE):
            async with lost.writer("copy") as writer:
                await writer.write(
                    [Outgoing(topic, 0, one.key, one.value, one.headers) for one in await records(log, topic)]
                )
        log = lost
    gc.collect()
    log.most = 0
    await resolved(log)
    assert len(await things(log)) == 2_000
    assert log.most < 200
