"""A log that ends below what was seen is refused to whoever would follow it or write over it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from engine.seal import KEY_BYTES, Sealer
from streams.clock import now
from streams.continuity import ContinuedLog
from streams.diagnosis import diagnose
from streams.memory import MemoryLog
from streams.ports import LogBehind, Outgoing
from streams.reminder import Reminder
from streams.sources.files import FilesOptions, watch_files
from streams.topics import Topic
from streams.view import follow_table, read_table
from tests.streams.test_domain import garbage, older, resolved
from tests.streams.toy import append, change_set, put, records, things, wanted

GARBAGE = (b"\x00\xff", b"junk", b"{}", b"[1]", None)
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"


async def test_it_is_refused_until_the_log_goes_beyond_what_is_known() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    known = 2
    guarded = ContinuedLog(log, lambda: known, "Do this.")
    words = r"the log ends at offset 1, but offset 2 was already seen: an older copy.*Do this\."
    with pytest.raises(LogBehind, match=words):
        async with guarded.writer("w"):
            pytest.fail("a writer was given out")
    with pytest.raises(LogBehind, match=words):
        await anext(follow_table(guarded, Topic.XDS, 0))
    known = 1
    async with guarded.writer("w") as writer:
        await writer.write([Outgoing(Topic.CHANGES, 0, b"k", b"v")])
    assert (await anext(follow_table(guarded, Topic.CHANGES, 0))).snapshot


async def test_what_is_known_is_read_beside_the_loop() -> None:
    """A snapshot of a large domain takes seconds to open: meanwhile proxies are served."""
    asked: list[int] = []

    def known() -> int:
        asked.append(threading.get_ident())
        return -1

    await ContinuedLog(MemoryLog(), known, "").check()
    assert len(asked) == 1
    assert asked != [threading.get_ident()]


async def test_nothing_known_asks_nothing() -> None:
    log = MemoryLog()
    log.down = True
    await ContinuedLog(log, lambda: -1, "").check()


async def test_the_source_appends_nothing_to_a_log_that_ends_before_its_state(tmp_path: Path) -> None:
    log = MemoryLog()
    await append(log, *(change_set(put("a", number)) for number in range(5)))
    await resolved(log)
    copy = await older(log, {Topic.CHANGES}, keep=1)
    (tmp_path / "a.yaml").write_text(NAMESPACE)
    before = await copy.ends(Topic.CHANGES, 0)
    task = asyncio.create_task(watch_files(copy, Sealer(bytes(KEY_BYTES)), FilesOptions("local", tmp_path, now)))
    try:
        await asyncio.wait({task}, timeout=1)
        assert not task.done()
        assert await copy.ends(Topic.CHANGES, 0) == before
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_what_keeps_a_domain_from_going_on_is_told() -> None:
    log = MemoryLog()
    await append(log, *(change_set(put("a", number)) for number in range(5)))
    await resolved(log)
    assert await diagnose(log, 0) is None
    assert "the log ends at offset 1, but offset 8" in str(await diagnose(await older(log, {Topic.CHANGES}, keep=1), 0))
    await garbage(log, b"junk")
    assert await diagnose(log, 0) is None
    await resolved(log)
    await garbage(log, b'{"schema": 99}')
    assert "upgrade penstock" in str(await diagnose(log, 0))


async def test_what_no_resolver_wrote_is_no_row() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    one = await resolved(log)
    topics = (Topic.STATE, Topic.GRAPH, Topic.XDS, Topic.STATUS, Topic.INFRA)
    before = {topic: (await read_table(log, topic, 0)).rows for topic in topics}
    async with log.writer("stranger") as writer:
        for topic in topics:
            keys = [None, b"\xff", b"default", b"default/junk", b"default/~progress", *(row.key for row in before[topic].values())]
            await writer.write([Outgoing(topic, 0, key, value) for key in keys for value in GARBAGE])
    assert {topic: (await read_table(log, topic, 0)).rows for topic in topics} == before
    # Nor do they become rows with the next update that closes.
    await append(log, change_set(put("a", 2)))
    await one.apply(await records(log, Topic.CHANGES))
    assert {topic: (await read_table(log, topic, 0)).rows.keys() for topic in topics} == {
        topic: before[topic].keys() for topic in topics
    }
    assert await things(log) == wanted({"a": 2})
    count = len(await records(log, Topic.XDS))
    await resolved(log)
    assert len(await records(log, Topic.XDS)) == count + 1  # the opening: nothing had to be mended


def test_the_same_trouble_is_said_once_and_another_at_once() -> None:
    reminder = Reminder()
    assert [reminder.is_due(words) for words in ("a", "a", "b", "b", "a")] == [True, False, True, False, True]
