"""The file source appends what differs from the log and nothing else, whatever happens to files, broker or itself."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.events import Admitted, ChangeSet, Delete, Put, Refused, SyncBegin, SyncEnd
from engine.seal import KEY_BYTES, Sealer
from streams.clock import now
from streams.codec import change_summary, decode_change_set, encode_update
from streams.memory import MemoryLog
from streams.ports import Record
from streams.sources.files import FilesOptions, watch_files
from streams.sources.manifests import MissingDirectory
from streams.topics import Topic

_SEALER = Sealer(bytes(range(KEY_BYTES)))
_SECONDS = 240.0


def service(name: str, port: int = 80) -> str:
    return (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{name: http, port: {port}}}]}}\n"
    )


@asynccontextmanager
async def watching(log: MemoryLog, root: Path, cluster: str = "local") -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(watch_files(log, _SEALER, FilesOptions(cluster, root, now)))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def sets(log: MemoryLog, cluster: str = "local") -> list[ChangeSet]:
    found = [decode_change_set(one) async for batch in log.read(Topic.CHANGES, 0) for one in batch]
    return [one for one in found if one.cluster == cluster]


async def objects(log: MemoryLog, cluster: str = "local") -> dict[str, int]:
    """Names and ports of the Services that the log has."""
    there: dict[str, int] = {}
    for change_set in await sets(log, cluster):
        for change in change_set.changes:
            if isinstance(change, Put):
                there[change.ref.name] = change.object["spec"]["ports"][0]["port"]
            elif isinstance(change, Delete):
                del there[change.ref.name]
    return there


async def refusals(log: MemoryLog) -> dict[str, str]:
    there: dict[str, str] = {}
    for change_set in await sets(log):
        for change in change_set.changes:
            if isinstance(change, Refused):
                there[change.location] = change.message
            elif isinstance(change, Admitted):
                del there[change.location]
    return there


async def until(question: Callable[[], object]) -> None:
    """Wait for an awaited question to be true."""
    async with asyncio.timeout(_SECONDS):
        while not await question():  # type: ignore[misc]
            await asyncio.sleep(0.01)


async def has(log: MemoryLog, wanted: dict[str, int], cluster: str = "local") -> None:
    async def question() -> bool:
        return await objects(log, cluster) == wanted

    try:
        await until(question)
    except TimeoutError:
        assert await objects(log, cluster) == wanted


async def resolved(log: MemoryLog) -> None:
    """Fold the log into penstock.state, as the resolver does."""
    engine = Engine(_SEALER)
    async with log.writer("resolver") as writer:
        async for batch in log.read(Topic.CHANGES, 0):
            for record in batch:
                change_set = decode_change_set(record)
                update = engine.apply(change_set, record.offset)
                await writer.write(encode_update("default", 0, update, change_summary(change_set)))


async def test_the_first_sync_is_bracketed_and_the_next_run_appends_nothing(tmp_path: Path) -> None:
    log = MemoryLog()
    (tmp_path / "a.yaml").write_text(service("a") + "---\n" + service("b"))
    async with watching(log, tmp_path):
        await has(log, {"a": 80, "b": 80})
    first = (await sets(log))[0].changes
    assert (first[0], first[-1]) == (SyncBegin(), SyncEnd())
    for state_is_there in (False, True):
        if state_is_there:
            await resolved(log)
        before = await log.ends(Topic.CHANGES, 0)
        there = len(await sets(log))
        async with watching(log, tmp_path):
            (tmp_path / "new.yaml").write_text(service("new"))
            await until(lambda: _grew(log, before[1]))
        assert len(await sets(log)) == there + 1
        async with watching(log, tmp_path):
            (tmp_path / "new.yaml").unlink()
            await has(log, {"a": 80, "b": 80})


async def _grew(log: MemoryLog, end: int) -> bool:
    return (await log.ends(Topic.CHANGES, 0))[1] > end


async def test_changes_while_away_are_found(tmp_path: Path) -> None:
    log = MemoryLog()
    (tmp_path / "a.yaml").write_text(service("a"))
    (tmp_path / "b.yaml").write_text(service("b"))
    async with watching(log, tmp_path):
        await has(log, {"a": 80, "b": 80})
    await resolved(log)
    (tmp_path / "a.yaml").write_text(service("a", 81))
    (tmp_path / "b.yaml").unlink()
    async with watching(log, tmp_path):
        await has(log, {"a": 81})
    last = (await sets(log))[-1]
    assert last.actor == "a.yaml"
    put = next(one for one in last.changes if isinstance(one, Put))
    assert put.object["metadata"]["generation"] == 2


async def test_a_broken_file_keeps_its_objects_through_a_restart(tmp_path: Path) -> None:
    log = MemoryLog()
    (tmp_path / "a.yaml").write_text(service("a"))
    (tmp_path / "b.yaml").write_text(service("b"))
    async with watching(log, tmp_path):
        await has(log, {"a": 80, "b": 80})
        (tmp_path / "a.yaml").write_text("kind: [\n")
        await until(lambda: refusals(log))
    async with watching(log, tmp_path):
        (tmp_path / "b.yaml").write_text(service("b", 81))
        await has(log, {"a": 80, "b": 81})
        (tmp_path / "a.yaml").write_text(service("c"))
        await has(log, {"b": 81, "c": 80})
    assert await refusals(log) == {}


async def test_a_file_written_in_two_steps_deletes_nothing(tmp_path: Path) -> None:
    log = MemoryLog()
    path = tmp_path / "a.yaml"
    path.write_text(service("a") + "---\n" + service("b"))
    async with watching(log, tmp_path):
        await has(log, {"a": 80, "b": 80})
        for turn in range(5):
            with path.open("w") as file:
                file.flush()
                await asyncio.sleep(0.04)  # longer than the debounce: the empty file is looked at
                file.write(service("a", 90 + turn) + "---\n" + service("b"))
            await has(log, {"a": 90 + turn, "b": 80})
    changes = [one for change_set in await sets(log) for one in change_set.changes]
    assert not [one for one in changes if isinstance(one, Delete | Refused)]


async def test_moves_between_files_and_folders_lose_nothing(tmp_path: Path) -> None:
    log = MemoryLog()
    (tmp_path / "a.yaml").write_text(service("a") + "---\n" + service("b"))
    async with watching(log, tmp_path):
        await has(log, {"a": 80, "b": 80})
        before = await log.ends(Topic.CHANGES, 0)
        (tmp_path / "sub").mkdir()
        (tmp_path / "a.yaml").rename(tmp_path / "sub" / "z.yaml")
        (tmp_path / "sub").rename(tmp_path / "other")
        (tmp_path / "c.yaml").write_text(service("c"))
        await has(log, {"a": 80, "b": 80, "c": 80})
        (tmp_path / "other" / "z.yaml").write_text(service("a", 85))
        await has(log, {"a": 85, "c": 80})
    moved = [one for change_set in (await sets(log))[before[1] :] for one in change_set.changes]
    assert [one.ref.name for one in moved if isinstance(one, Delete)] == ["b"]


async def test_the_directory_may_go_and_come_back(tmp_path: Path) -> None:
    log = MemoryLog()
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.yaml").write_text(service("a"))
    async with watching(log, root):
        await has(log, {"a": 80})
        shutil.move(root, tmp_path / "away")
        await until(lambda: refusals(log))
        assert "is gone" in (await refusals(log))["."]
        assert await objects(log) == {"a": 80}
        root.mkdir()
        (root / "b.yaml").write_text(service("b"))
        await has(log, {"b": 80})
        (root / "c.yaml").write_text(service("c"))
        await has(log, {"b": 80, "c": 80})
    assert await refusals(log) == {}


async def test_an_empty_directory_in_the_place_of_another_deletes_nothing(tmp_path: Path) -> None:
    """As an unmounted volume leaves: the mount point is there, another directory, with nothing in it."""
    log, root = MemoryLog(), tmp_path / "root"
    root.mkdir()
    (root / "a.yaml").write_text(service("a"))
    (root / "b.yaml").write_text(service("b"))
    async with watching(log, root):
        await has(log, {"a": 80, "b": 80})
        (tmp_path / "empty").mkdir()
        root.rename(tmp_path / "away")
        (tmp_path / "empty").rename(root)
        await until(lambda: _says(log, "holds no manifest"))
        assert await objects(log) == {"a": 80, "b": 80}
        (tmp_path / "away" / "b.yaml").unlink()
        root.rename(tmp_path / "empty")
        (tmp_path / "away").rename(root)
        await has(log, {"a": 80})
        await until(lambda: _quiet(log))


async def _says(log: MemoryLog, words: str) -> bool:
    return words in (await refusals(log)).get(".", "")


async def _quiet(log: MemoryLog) -> bool:
    return await refusals(log) == {}


async def test_a_directory_that_was_emptied_deletes_what_it_said(tmp_path: Path) -> None:
    log = MemoryLog()
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(service(name))
    async with watching(log, tmp_path):
        await has(log, {"a": 80, "b": 80})
        for name in ("a", "b"):
            (tmp_path / f"{name}.yaml").unlink()
        await has(log, {})
    assert await refusals(log) == {}


async def test_a_link_to_the_directory_may_switch(tmp_path: Path) -> None:
    log = MemoryLog()
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
        (tmp_path / f"v{number}" / "a.yaml").write_text(service("a", 80 + number))
    (tmp_path / "now").symlink_to("v1")
    async with watching(log, tmp_path / "now"):
        await has(log, {"a": 81})
        (tmp_path / "next").symlink_to("v2")
        (tmp_path / "next").rename(tmp_path / "now")
        await has(log, {"a": 82})
        (tmp_path / "v2" / "a.yaml").write_text(service("a", 90))
        await has(log, {"a": 90})


async def _tried(log: MemoryLog) -> bool:
    """And was turned away."""
    before = log.turned_away
    while log.turned_away <= before:
        await asyncio.sleep(0.01)
    return True


async def test_nothing_is_lost_while_the_broker_is_down(tmp_path: Path) -> None:
    log = MemoryLog()
    log.down = True
    (tmp_path / "a.yaml").write_text(service("a"))
    async with watching(log, tmp_path) as task:
        await until(lambda: _tried(log))
        assert not task.done()
        await log.resume()
        await has(log, {"a": 80})
        log.down = True
        (tmp_path / "a.yaml").write_text(service("a", 81))
        await until(lambda: _tried(log))
        (tmp_path / "b.yaml").write_text(service("b"))
        await log.resume()
        await has(log, {"a": 81, "b": 80})


async def test_clusters_do_not_touch_each_other(tmp_path: Path) -> None:
    log = MemoryLog()
    for cluster, number in (("east", 1), ("west", 2)):
        (tmp_path / cluster).mkdir()
        (tmp_path / cluster / "a.yaml").write_text(service("a", number))
    async with watching(log, tmp_path / "east", "east"), watching(log, tmp_path / "west", "west"):
        await has(log, {"a": 1}, "east")
        await has(log, {"a": 2}, "west")
        (tmp_path / "east" / "a.yaml").unlink()
        await has(log, {}, "east")
        assert await objects(log, "west") == {"a": 2}


async def test_a_second_watcher_fences_the_first(tmp_path: Path) -> None:
    log = MemoryLog()
    (tmp_path / "a.yaml").write_text(service("a"))
    async with watching(log, tmp_path) as first:
        await has(log, {"a": 80})
        async with watching(log, tmp_path):
            (tmp_path / "a.yaml").write_text(service("a", 81))
            await has(log, {"a": 81})
            assert not first.done()
    assert (
        len(
            [
                one
                for one in await sets(log)
                if any(isinstance(c, Put) and c.object["spec"]["ports"][0]["port"] == 81 for c in one.changes)
            ]
        )
        == 1
    )


async def test_ten_thousand_documents_are_one_change_set_in_parts(tmp_path: Path) -> None:
    log = MemoryLog()
    (tmp_path / "many.yaml").write_text("---\n".join(service(f"s{n}") for n in range(10_000)))
    async with watching(log, tmp_path):
        async with asyncio.timeout(240):
            while len(await objects(log)) < 10_000:
                await asyncio.sleep(0.05)
    found = await sets(log)
    assert len({one.id for one in found}) == 1
    assert [one.part for one in found] == list(range(found[0].parts))
    records: list[Record] = [one async for batch in log.read(Topic.CHANGES, 0) for one in batch]
    assert max(len(one.value or b"") for one in records) < 1 << 20


async def test_what_waits_for_its_other_parts_is_not_said_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said with another creationTimestamp, the oldest of two routes was another one after a restart."""
    monkeypatch.setattr("streams.codec.PART_BYTES", 400)
    for name in "abcd":
        (tmp_path / f"{name}.yaml").write_text(service(name))
    log = MemoryLog()
    async with watching(log, tmp_path):
        await has(log, dict.fromkeys("abcd", 80))
    found = [one async for batch in log.read(Topic.CHANGES, 0) for one in batch]
    assert len(found) > 3
    engine = Engine(_SEALER)
    async with log.writer("resolver") as writer:
        for record in found[:2]:
            change_set = decode_change_set(record)
            await writer.write(encode_update("default", 0, engine.apply(change_set, record.offset), change_summary(change_set)))
    async with watching(log, tmp_path):
        (tmp_path / "new.yaml").write_text(service("new"))
        await has(log, {**dict.fromkeys("abcd", 80), "new": 80})
    later = [one for change_set in (await sets(log))[len(found) :] for one in change_set.changes]
    assert [one.ref.name for one in later if isinstance(one, Put)] == ["new"]


async def test_a_missing_directory_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(MissingDirectory):
        await watch_files(MemoryLog(), _SEALER, FilesOptions("local", tmp_path / "none", now))
