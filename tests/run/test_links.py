"""What a link leads to is read anew when it changes, wherever it lies and whatever else happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.events import Delete
from streams.memory import MemoryLog
from streams.sources.directory import Directory
from tests.run.test_files import has, refusals, service, sets, watching


@asynccontextmanager
async def busy(path: Path) -> AsyncIterator[None]:
    """Events all the time: as of a broker, or of an editor, below the same directory."""

    async def write() -> None:
        while True:
            await asyncio.to_thread(path.touch)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_file_elsewhere_that_is_linked_to(tmp_path: Path) -> None:
    log, root, target = MemoryLog(), tmp_path / "root", tmp_path / "elsewhere" / "target.yaml"
    root.mkdir()
    target.parent.mkdir()
    target.write_text(service("a"))
    (root / "link.yaml").symlink_to(target)
    async with watching(log, root), busy(root / "notes.txt"):
        await has(log, {"a": 80})
        target.write_text(service("a", 81))
        await has(log, {"a": 81})
        (target.parent / "next").write_text(service("a", 82))
        (target.parent / "next").rename(target)
        await has(log, {"a": 82})
        target.unlink()
        await has(log, {})
        target.write_text(service("a", 83))
        await has(log, {"a": 83})


async def test_a_folder_elsewhere_that_is_linked_to(tmp_path: Path) -> None:
    log, root, folder = MemoryLog(), tmp_path / "root", tmp_path / "folder"
    root.mkdir()
    folder.mkdir()
    (folder / "a.yaml").write_text(service("a"))
    async with watching(log, root), busy(root / "notes.txt"):
        (root / "linked").symlink_to(folder)
        await has(log, {"a": 80})
        (folder / "a.yaml").write_text(service("a", 81))
        await has(log, {"a": 81})
        (folder / "b.yaml").write_text(service("b"))
        await has(log, {"a": 81, "b": 80})


async def test_a_mounted_config_map_is_switched_as_a_whole(tmp_path: Path) -> None:
    """As the kubelet does (AtomicWriter): a folder of its own for each version, and one link that is renamed."""
    log = MemoryLog()

    def publish(number: int, *names: str) -> None:
        folder = tmp_path / f"..2026_{number}"
        folder.mkdir()
        for name in names:
            (folder / f"{name}.yaml").write_text(service(name, number))
        before = (tmp_path / "..data").resolve()
        (tmp_path / "..data_tmp").symlink_to(folder.name)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        for name in names:
            if not (tmp_path / f"{name}.yaml").is_symlink():
                (tmp_path / f"{name}.yaml").symlink_to(f"..data/{name}.yaml")
        for link in tmp_path.glob("*.yaml"):
            if link.stem not in names:
                link.unlink()
        if before.name != "..data":
            shutil.rmtree(before)

    publish(1, "a", "b")
    async with watching(log, tmp_path), busy(tmp_path / "..notes"):
        await has(log, {"a": 1, "b": 1})
        for number in range(2, 6):
            publish(number, "a", "b")
            await has(log, {"a": number, "b": number})
        assert not [one for change_set in await sets(log) for one in change_set.changes if isinstance(one, Delete)]
        publish(6, "b", "c")
        await has(log, {"b": 6, "c": 6})
    assert await refusals(log) == {}


def test_only_what_was_reached_by_a_link_is_asked_again(tmp_path: Path) -> None:
    root, folder = tmp_path / "root", tmp_path / "folder"
    for one in (root, folder):
        one.mkdir()
    for path in (root / "plain.yaml", folder / "a.yaml", tmp_path / "b.yaml"):
        path.write_text(service(path.stem))
    (root / "linked").symlink_to(folder)
    (root / "b.yaml").symlink_to(tmp_path / "b.yaml")
    directory = Directory(root, "local")
    directory.look()
    assert directory.moved() == []
    for path in (root / "plain.yaml", folder / "a.yaml", tmp_path / "b.yaml"):
        path.write_text(service(path.stem, 1234))
    assert directory.moved() == [str(root / "b.yaml"), str(root / "linked" / "a.yaml")]
    directory.look(directory.moved())
    assert directory.moved() == []
