"""Half a file, or half a directory, is no state of it: what is being written deletes nothing until it is whole."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from engine.events import Delete, Put
from streams.memory import MemoryLog
from streams.sources import directory, writing
from streams.sources.directory import Directory
from streams.sources.writing import Writers
from tests.run.test_files import has, refusals, service, sets, watching

_PAUSE = 0.6
"""Seconds that a writer takes its time: longer than the second look at what may be half written."""


async def _quiet(log: MemoryLog, there: int, seconds: float = _PAUSE) -> None:
    """Nothing is appended for so long."""
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        assert len(await sets(log)) == there
        await asyncio.sleep(0.02)


async def test_a_file_that_is_written_slowly_in_place_deletes_nothing(tmp_path: Path) -> None:
    log, path = MemoryLog(), tmp_path / "a.yaml"
    path.write_text(service("a") + "---\n" + service("b"))
    (tmp_path / "other.yaml").write_text(service("other"))
    async with watching(log, tmp_path):
        await has(log, {"a": 80, "b": 80, "other": 80})
        with path.open("w") as file:
            await _quiet(log, 1)
            file.write(service("a", 81))
            file.flush()
            await _quiet(log, 1)
            (tmp_path / "other.yaml").write_text(service("other", 81))
            await has(log, {"a": 80, "b": 80, "other": 81})
            file.write("---\n{")
            file.flush()
            await _quiet(log, 2)
            file.truncate(len(service("a", 81)))
            file.seek(0, 2)
            file.write("---\n" + service("b"))
        await has(log, {"a": 81, "b": 80, "other": 81})
    assert not any(isinstance(change, Delete) for one in await sets(log) for change in one.changes)
    assert not await refusals(log)
    assert [change.ref.name for change in (await sets(log))[-1].changes if isinstance(change, Put)] == ["a"]


async def test_one_that_is_half_written_at_the_start_deletes_nothing(tmp_path: Path) -> None:
    log, path = MemoryLog(), tmp_path / "a.yaml"
    path.write_text(service("a") + "---\n" + service("b"))
    (tmp_path / "other.yaml").write_text(service("other"))
    async with watching(log, tmp_path):
        await has(log, {"a": 80, "b": 80, "other": 80})
    with path.open("w") as file:
        file.write(service("a"))
        file.flush()
        async with watching(log, tmp_path):
            await _quiet(log, 1)
            file.close()
            await has(log, {"a": 80, "other": 80})


async def test_a_file_that_goes_while_it_is_written_is_gone(tmp_path: Path) -> None:
    log, path = MemoryLog(), tmp_path / "a.yaml"
    path.write_text(service("a"))
    (tmp_path / "other.yaml").write_text(service("other"))
    async with watching(log, tmp_path):
        await has(log, {"a": 80, "other": 80})
        with path.open("w"), (tmp_path / "new.yaml").open("w"):
            await _quiet(log, 1)
            path.unlink()
            (tmp_path / "new.yaml").unlink()
            await has(log, {"other": 80})


def test_one_that_stays_open_is_believed_after_a_time(tmp_path: Path) -> None:
    now = 0.0
    files = Directory(tmp_path, "local", writers=Writers(lambda: now))
    path = tmp_path / "a.yaml"
    path.write_text(service("a") + "---\n" + service("b"))
    (both,) = [files.look()]
    with path.open("w") as file:
        file.write(service("a"))
        file.flush()
        assert not files.look([str(path)])
        assert files.unfinished() == [str(path)]
        assert not files.late()
        now = writing.PATIENCE_SECONDS
        assert {ref.name for ref in files.look([str(path)])} == {"b"}
        assert files.late() == ["a.yaml"]
        assert not files.unfinished()
        file.write("---\n" + service("c"))
        file.flush()
        assert {ref.name for ref in files.look([str(path)])} == {"c"}
    path.write_text(service("a") + "---\n" + service("b"))
    files.look([str(path)])
    assert not files.late()
    assert files.refs() == both


def test_where_no_file_can_be_told_none_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with path.open("w") as file:
        file.write(service("a"))
        file.flush()
        assert Writers(lambda: 0.0).is_whole("a.yaml", path)


def test_a_writer_that_comes_while_it_is_asked_ends_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(service("a"))
    asking = f"""if True:
        import subprocess, time
        from pathlib import Path
        from streams.sources.writing import Writers
        writers, path = Writers(time.monotonic), Path({str(path)!r})
        writer = subprocess.Popen(["sh", "-c", "i=0; while [ $i -lt 3000 ]; do : > $0; i=$((i+1)); done", path])
        while writer.poll() is None:
            writers.is_whole("a.yaml", path)
    """
    assert subprocess.run([sys.executable, "-c", asking], check=False).returncode == 0


async def test_a_directory_that_fills_up_again_deletes_nothing_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_FILLING_SECONDS", 1_000.0)
    monkeypatch.setattr(directory, "_FILLED_SECONDS", 1_000.0)
    log, root = MemoryLog(), tmp_path / "root"
    root.mkdir()
    for name in ("a", "b", "c"):
        (root / f"{name}.yaml").write_text(service(name))
    async with watching(log, root):
        await has(log, {"a": 80, "b": 80, "c": 80})
        root.rename(tmp_path / "away")
        root.mkdir()
        (root / "z.yaml").write_text(service("a", 81))
        await has(log, {"a": 81, "b": 80, "c": 80})
        (root / "b.yaml").write_text(service("b", 82))
        await has(log, {"a": 81, "b": 82, "c": 80})
        # It is not looked at any more for what may still come.
        monkeypatch.setattr(directory, "_FILLING_SECONDS", 0.0)
        await has(log, {"a": 81, "b": 82})
    deleted = [change.ref.name for one in await sets(log) for change in one.changes if isinstance(change, Delete)]
    assert deleted == ["c"]
