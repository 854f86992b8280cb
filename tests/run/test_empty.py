"""A directory without any manifest deletes nothing, unless that was asked for: it may be a volume that is not mounted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.seal import KEY_BYTES, Sealer
from streams.clock import now
from streams.memory import MemoryLog
from streams.settings import Settings
from streams.sources.files import FilesOptions, watch_files
from tests.run.test_files import has, objects, refusals, resolved, service, until, watching


@asynccontextmanager
async def allowing(log: MemoryLog, root: Path) -> AsyncIterator[None]:
    """As `watching`, with a directory that may be empty."""
    options = FilesOptions("local", root, now, allow_empty=True)
    task = asyncio.create_task(watch_files(log, Sealer(bytes(range(KEY_BYTES))), options))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _said(log: MemoryLog, root: Path) -> None:
    async def question() -> bool:
        return "." in await refusals(log)

    await until(question)
    assert (await refusals(log))["."] == (
        f"the directory {root} holds no manifest now: the 2 objects of cluster local stay until it holds some; mount it "
        "again, or, if it shall be empty, start penstock with --allow-empty"
    )


async def _quiet(log: MemoryLog) -> None:
    async def question() -> bool:
        return await refusals(log) == {}

    await until(question)


@pytest.mark.parametrize("is_resolved", [False, True])
async def test_one_that_is_empty_at_the_start_deletes_nothing(tmp_path: Path, *, is_resolved: bool) -> None:
    log, root, away = MemoryLog(), tmp_path / "root", tmp_path / "away"
    root.mkdir()
    for name in ("a", "b"):
        (root / f"{name}.yaml").write_text(service(name))
    async with watching(log, root):
        await has(log, {"a": 80, "b": 80})
    if is_resolved:
        await resolved(log)
    root.rename(away)
    root.mkdir()
    (root / "README.md").write_text("no manifest")
    (root / ".hidden.yaml").write_text(service("hidden"))
    for _ in range(2):
        async with watching(log, root):
            await _said(log, root)
            assert await objects(log) == {"a": 80, "b": 80}
    async with watching(log, root):
        (root / "README.md").write_text("still none")
        (root / "README.md").unlink()
        (root / ".hidden.yaml").unlink()
        root.rmdir()
        (away / "b.yaml").unlink()
        away.rename(root)
        await has(log, {"a": 80})
        await _quiet(log)
        (root / "a.yaml").unlink()
        await has(log, {})


async def test_one_manifest_is_enough_to_tell_what_is_gone(tmp_path: Path) -> None:
    log = MemoryLog()
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.yaml").write_text(service(name))
    async with watching(log, tmp_path):
        await has(log, {"a": 80, "b": 80, "c": 80})
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").unlink()
    async with watching(log, tmp_path):
        await has(log, {"c": 80})
    (tmp_path / "c.yaml").write_text("")
    async with watching(log, tmp_path):
        await has(log, {})


async def test_one_that_may_be_empty_deletes_at_the_start_and_while_it_is_watched(tmp_path: Path) -> None:
    log, root = MemoryLog(), tmp_path / "root"
    root.mkdir()
    for number in (80, 81):
        (root / "a.yaml").write_text(service("a", number))
        async with allowing(log, root):
            await has(log, {"a": number})
            if number == 81:
                root.rename(tmp_path / "away")
                (tmp_path / "empty").mkdir()
                (tmp_path / "empty").rename(root)
                await has(log, {})
        if number == 80:
            (root / "a.yaml").unlink()
            async with allowing(log, root):
                await has(log, {})
    assert await refusals(log) == {}


async def test_an_empty_directory_of_a_new_cluster_is_nothing_to_tell_of(tmp_path: Path) -> None:
    log = MemoryLog()
    async with watching(log, tmp_path):
        (tmp_path / "a.yaml").write_text(service("a"))
        await has(log, {"a": 80})
    assert await refusals(log) == {}


def test_it_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings().allow_empty
    monkeypatch.setenv("PENSTOCK_ALLOW_EMPTY", "true")
    assert Settings().allow_empty
