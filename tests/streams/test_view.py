"""Compacted topics are read consistently: an update is seen whole or not at all."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.memory import MemoryLog
from streams.ports import Outgoing, Record
from streams.topics import OPENING, PROGRESS, Topic, key
from streams.view import Batch, _Fold, follow_table, read_table


def row(name: str, value: bytes | None, offset: int, index: int = 0) -> Outgoing:
    headers = (("offset", b"%d" % offset), ("index", b"%d" % index))
    return Outgoing(Topic.XDS, 0, key("default", name), value, headers)


def closed(offset: int, index: int = 1 << 40) -> Outgoing:
    return row(PROGRESS, b"{}", offset, index)


async def table(log: MemoryLog) -> tuple[dict[str, bytes | None], int]:
    found = await read_table(log, Topic.XDS, 0)
    return {name: one.value for name, one in found.rows.items()}, found.progress


async def written(*records: Outgoing) -> MemoryLog:
    log = MemoryLog()
    async with log.writer("w") as writer:
        await writer.write(records)
    return log


async def test_nothing_is_seen_of_an_update_that_is_not_closed() -> None:
    log = await written(row("a", b"1", 0), closed(0), row("a", b"2", 1), row("b", b"2", 1))
    assert await table(log) == ({"a": b"1"}, 0)
    assert await table(await written(row("a", b"1", 0))) == ({}, -1)


async def test_a_tombstone_removes_and_an_opening_says_nothing() -> None:
    opening = Outgoing(Topic.XDS, 0, key("default", OPENING), b"{}")
    log = await written(row("a", b"1", 0), opening, row("b", b"1", 0, 1), closed(0), row("a", None, 1), closed(1))
    assert await table(log) == ({"b": b"1"}, 1)


async def test_what_came_before_is_not_taken_twice() -> None:
    late = [row("a", b"old", 1, 0), closed(1), row("a", b"new", 2, 0), closed(2), row("a", b"old", 1, 0), closed(1)]
    assert await table(await written(*late)) == ({"a": b"new"}, 2)
    behind = [row("a", b"1", 1, 5), closed(1), row("a", b"2", 1, 4), row("b", b"2", 1, 6), closed(1, (1 << 40) + 1)]
    assert await table(await written(*behind)) == ({"a": b"1", "b": b"2"}, 1)


async def test_records_of_strangers_are_no_rows() -> None:
    strangers = [
        Outgoing(Topic.XDS, 0, None, b"x"),
        Outgoing(Topic.XDS, 0, b"\xff\xfe", b"x"),
        Outgoing(Topic.XDS, 0, key("default", "b"), b"x", (("offset", b"many"),)),
        Outgoing(Topic.XDS, 0, key("default", PROGRESS), b"x", (("offset", b"many"),)),
    ]
    assert await table(await written(row("a", b"1", 0), *strangers, closed(0))) == ({"a": b"1"}, 0)


async def test_what_was_handed_over_is_held_by_its_reader_only() -> None:
    log = await written(row("a", b"1", 0), closed(0))
    batches = follow_table(log, Topic.XDS, 0)
    for _ in range(2):
        batch = await anext(batches)
        record = batch.rows["a"]
        # Else all that a domain has would stay in memory until its next change.
        assert [one for one in gc.get_referrers(record) if isinstance(one, dict)] == [batch.rows]
        assert [one for one in gc.get_referrers(batch.rows) if one is not batch] == []
        async with log.writer("w") as writer:
            await writer.write([row("a", b"2", 1), closed(1)])
    await batches.aclose()


async def test_what_is_gone_is_remembered_only_as_long_as_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fold that lives for months holds what there is, and so many removals; older ones are known by their order."""
    monkeypatch.setattr("streams.view._REMOVALS", 10)
    flat = [one for at in range(100) for one in (row(f"k{at}", b"1", 2 * at), row(f"k{at}", None, 2 * at + 1))]
    log = await written(*flat, row("kept", b"1", 500), closed(500), *flat[:60], *flat[190:], closed(501))
    fold = _Fold()
    rows: dict[str, Record | None] = {}
    async for records in log.read(Topic.XDS, 0):
        fold.close(records, rows)
    assert {name: one.value for name, one in rows.items() if one is not None} == {"kept": b"1"}
    assert len(fold.seen) + len(fold.gone) <= 11


async def test_what_comes_back_after_it_was_forgotten_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.view._REMOVALS", 1)
    gone = [row(name, value, at) for at, value in ((0, b"1"), (1, None)) for name in "abc"]
    log = await written(*gone, closed(1), row("a", b"2", 2), closed(2), row("a", b"1", 0), row("c", b"1", 0), closed(3))
    assert await table(log) == ({"a": b"2"}, 3)


@pytest.mark.parametrize("alone", [False, True])
async def test_who_was_away_while_removals_were_forgotten_takes_the_table_anew(*, alone: bool) -> None:
    """Longer than delete.retention.ms: that a row is gone is said by nothing any more but its absence."""
    log = await written(row("a", b"1", 0), row("b", b"1", 0, 1), closed(0))
    batches = follow_table(log, Topic.XDS, 0)
    assert (await anext(batches)).rows.keys() == {"a", "b"}
    async with log.writer("w") as writer:
        await writer.write([row("b", b"2", 1), closed(1)])
        assert (await anext(batches)).snapshot is False
        # The removal stands alone in its update, or beside what is set by it.
        await writer.write([row("a", None, 2), *([] if alone else [row("c", b"2", 2, 1)]), closed(2)])
        log.compact(Topic.XDS, 0)
        await writer.write([row("d", b"3", 3), closed(3)])
    async with asyncio.timeout(240):
        batch = await anext(batches)
    assert batch.snapshot
    assert batch.rows.keys() == ({"b", "d"} if alone else {"b", "c", "d"})
    async with log.writer("w") as writer:
        await writer.write([row("e", b"4", 4), closed(4)])
        batch = await anext(batches)
        assert (batch.snapshot, batch.rows.keys()) == (False, {"e"})
    await batches.aclose()


@pytest.mark.parametrize("per_transaction", [1, 2, 3])
async def test_nothing_is_read_anew_where_nothing_is_missing(per_transaction: int) -> None:
    """What ends a transaction takes an offset that nobody sees."""
    log = await written(row("a", b"1", 0), closed(0))
    updates = [[row("a", b"%d" % at, at), row("b", None, at, 1), closed(at)] for at in range(1, 7)]
    chunks = [
        [one for update in updates[first : first + per_transaction] for one in update]
        for first in range(0, 6, per_transaction)
    ]
    batches = await followed(log, [[Outgoing(Topic.XDS, 0, key("default", OPENING), b"{}")], *chunks], 6)
    assert [batch.snapshot for batch in batches] == [True] + [False] * (len(batches) - 1)


_updates = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.none() | st.binary(max_size=2), max_size=3), min_size=1, max_size=6
)


def records_of(updates: Sequence[dict[str, bytes | None]]) -> list[list[Outgoing]]:
    return [
        [*(row(name, value, at, index) for index, (name, value) in enumerate(sorted(one.items()))), closed(at)]
        for at, one in enumerate(updates)
    ]


async def followed(log: MemoryLog, rest: Sequence[Sequence[Outgoing]], until: int) -> list[Batch]:
    """What a follower sees that is there while `rest` is written, in transactions, up to progress `until`."""
    batches: list[Batch] = []

    async def follow() -> None:
        async for batch in follow_table(log, Topic.XDS, 0):
            batches.append(batch)
            if batch.progress >= until:
                return

    async with asyncio.timeout(240), log.writer("w") as writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(follow())
        for one in rest:
            await asyncio.sleep(0)
            await writer.write(one)
    return batches


@given(_updates, st.integers(0, 6), st.data())
def test_following_comes_to_what_reading_finds(
    updates: list[dict[str, bytes | None]], before: int, data: st.DataObject
) -> None:
    flat = [record for one in records_of(updates) for record in one]
    cut = min(before, len(flat))
    cuts = sorted(data.draw(st.sets(st.integers(cut, len(flat)), max_size=4)) | {cut, len(flat)})
    transactions = [flat[start:end] for start, end in pairwise(cuts)]

    async def play() -> None:
        log = await written(*flat[:cut])
        batches = await followed(log, transactions, len(updates) - 1)
        rows: dict[str, bytes | None] = {}
        for batch in batches:
            # Transactions that end in the middle of an update look as if something were missing.
            rows = {} if batch.snapshot else rows
            rows |= {name: one.value if one is not None else None for name, one in batch.rows.items()}
            truth: dict[str, bytes | None] = {}
            for one in updates[: batch.progress + 1]:
                truth |= one
            assert {name: value for name, value in rows.items() if value is not None} == {
                name: value for name, value in truth.items() if value is not None
            }
        assert await table(log) == (
            {name: value for name, value in rows.items() if value is not None},
            len(updates) - 1,
        )

    asyncio.run(play())
