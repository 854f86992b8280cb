"""The data directory is no place for manifests: below a watched directory it is passed over, around one it is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.seal import KEY_BYTES, Sealer
from streams.cli import app
from streams.clock import now
from streams.identity import lock
from streams.memory import MemoryLog
from streams.sources.directory import Directory
from streams.sources.files import FilesOptions, watch_files
from streams.sources.manifests import MissingDirectory, read_directory
from tests.run.test_files import has, refusals, service, watching
from tests.run.test_manifests import ref

SEALER = Sealer(bytes(KEY_BYTES))


def taken(data: Path) -> Path:
    """A data directory as a run leaves it, with what is no manifest but has the name of one."""
    with lock(data):
        (data / "proxies" / "gw").mkdir(parents=True)
        (data / "proxies" / "gw" / "bootstrap.json").write_text("{}")
        (data / "broken.yaml").write_text("kind: [")
    return data


@pytest.mark.parametrize("below", ["penstock-data", "deep/er/data"])
def test_it_says_nothing_wherever_it_lies(tmp_path: Path, below: str) -> None:
    taken(tmp_path / below)
    (tmp_path / "a.yaml").write_text(service("a"))
    reading = read_directory(tmp_path, "local")
    assert (list(reading.objects), reading.refused, reading.warnings) == ([ref("a")], {}, [])
    result = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert (result.exit_code, result.output) == (0, "1 objects, 0 problems\n")


def test_what_happens_in_it_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = taken(tmp_path / "penstock-data")
    (tmp_path / "a.yaml").write_text(service("a"))
    directory = Directory(tmp_path, "local")
    directory.look()
    monkeypatch.setattr(os, "walk", lambda *_, **__: pytest.fail("everything is looked through"))
    (data / "new").mkdir()
    (data / "new" / "b.yaml").write_text(service("b"))
    assert directory.look([str(data / "new"), str(data / "new" / "b.yaml"), str(data)]) == set()


async def test_one_that_is_made_while_it_is_watched(tmp_path: Path) -> None:
    log = MemoryLog()
    (tmp_path / "a.yaml").write_text(service("a"))
    async with watching(log, tmp_path):
        await has(log, {"a": 80})
        data = taken(tmp_path / "penstock-data")
        (data / "proxies" / "c.yaml").write_text(service("c"))
        (tmp_path / "b.yaml").write_text(service("b"))
        await has(log, {"a": 80, "b": 80})
    assert await refusals(log) == {}


@pytest.mark.parametrize("command", ["run", "check"])
async def test_manifests_in_it_are_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    data = taken(tmp_path / "d")
    monkeypatch.setenv("PENSTOCK_DATA", str(data))
    for inside in (data, data / "proxies"):
        result = CliRunner().invoke(app, [command, str(inside)])
        assert result.exit_code == 3
        words = f"{inside} lies in the data directory {data}: keep manifests elsewhere, or name another data directory"
        assert words in result.stderr
        with pytest.raises(MissingDirectory, match=re.escape(words)):
            await watch_files(MemoryLog(), SEALER, FilesOptions("local", inside, now))


def test_a_directory_of_manifests_does_not_become_one(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for data in (tmp_path, tmp_path / "below" / ".."):
        result = CliRunner().invoke(app, ["run", str(tmp_path / "below"), "--data", str(data)])
        assert result.exit_code == 3
        assert "lies in the data directory" in result.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["below"]
