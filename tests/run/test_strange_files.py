"""What has a manifest's name but is none is named with its remedy, hangs nothing, and harms nothing else."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.memory import MemoryLog
from streams.sources.directory import Directory
from streams.sources.manifests import read_directory, read_file
from tests.run.test_files import has, refusals, service, until, watching
from tests.run.test_manifests import ref


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


STRANGE: list[tuple[str, Callable[[Path], object], str]] = [
    ("pipe", os.mkfifo, "is a pipe, not a file: put the manifest in its place, or remove it"),
    ("socket", _socket, "is a socket, not a file: put the manifest in its place, or remove it"),
    ("device", lambda path: path.symlink_to("/dev/null"), "is a device, not a file: put the manifest in its place"),
    ("folder", Path.mkdir, "is an empty folder, not a file: put the manifest in its place, or remove it"),
    (
        "link",
        lambda path: path.symlink_to("nowhere.yaml"),
        "links to nowhere.yaml, which is not there: bring that back, or remove the link",
    ),
    (
        "loop",
        lambda path: path.symlink_to(path),
        "is a link that leads in a circle: link to a file, or remove it",
    ),
    ("error", lambda path: path.symlink_to("/proc/self/mem"), "cannot be read: Input/output error: repair or remove it"),
]


@pytest.mark.parametrize(("make", "words"), [one[1:] for one in STRANGE], ids=[one[0] for one in STRANGE])
def test_what_is_no_file_is_named_and_the_rest_is_read(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    (tmp_path / "good.yaml").write_text(service("good"))
    (tmp_path / "below").mkdir()
    make(tmp_path / "below" / "x.yaml")
    make(tmp_path / ".hidden.yaml")
    reading = read_directory(tmp_path, "local")
    assert list(reading.objects) == [ref("good")]
    (found,) = reading.refused.values()
    assert found.location == "below/x.yaml"
    assert words in found.message
    result = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 1
    assert f"{found.location}: {found.message}" in result.output


@pytest.mark.parametrize(("make", "words"), [one[1:] for one in STRANGE], ids=[one[0] for one in STRANGE])
def test_it_is_told_once_it_is_seen_and_no_more_once_it_is_gone(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    directory, path = Directory(tmp_path, "local"), tmp_path / "x.yaml"
    (tmp_path / "good.yaml").write_text(service("good"))
    directory.look()
    make(path)
    for paths in ([str(path)], None):
        directory.look(paths)
        assert [words in one.message for one in directory.refusals()] == [True]
    (path.rmdir if path.is_dir() else path.unlink)()
    directory.look([str(path)])
    assert directory.refusals() == []
    path.write_text(service("x"))
    assert directory.look([str(path)]) == {ref("x")}
    assert directory.refusals() == []


def test_a_file_that_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "good.yaml").write_text(service("good"))
        (root / "shut.yaml").write_text(service("shut"))
        (root / "shut.yaml").chmod(0)
        (root / "below").mkdir()
        (root / "below" / "a.yaml").write_text(service("a"))
        (root / "below").chmod(0o444)
        with _nobody(root):
            reading = read_directory(root, "local")
        assert list(reading.objects) == [ref("good")]
        words = "cannot be read: Permission denied: let the user that runs penstock read it, and enter its folders"
        assert {one.name: one.message for one in reading.refused.values()} == dict.fromkeys(
            ("shut.yaml", "below/a.yaml"), words
        )
        (root / "below").chmod(0o755)


@contextmanager
def _nobody(root: Path) -> Iterator[None]:
    """Root may read everything: then as somebody else."""
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(root, 65534, 65534)
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_what_becomes_a_pipe_before_it_is_opened_hangs_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")

    class _Late(type(tmp_path)):  # type: ignore[misc]
        """A path whose file was a regular one a moment ago."""

        def stat(self, **_: object) -> os.stat_result:
            return os.stat_result((stat.S_IFREG, *super().stat()[1:]))

    file = read_file(_Late(tmp_path / "x.yaml"), "x.yaml", "local")
    assert [one.message for one in file.refused] == [
        "is a pipe, not a file: put the manifest in its place, or remove it"
    ]


async def test_what_is_no_file_any_more_says_nothing_and_is_told_of(tmp_path: Path) -> None:
    log, root, target = MemoryLog(), tmp_path / "root", tmp_path / "target.yaml"
    root.mkdir()
    target.write_text(service("linked"))
    (root / "link.yaml").symlink_to(target)
    (root / "pipe.yaml").write_text(service("piped"))
    (root / "good.yaml").write_text(service("good"))
    async with watching(log, root):
        await has(log, {"linked": 80, "piped": 80, "good": 80})
        target.unlink()
        os.mkfifo(root / "new.yaml")
        (root / "new.yaml").rename(root / "pipe.yaml")
        (root / "good.yaml").write_text(service("good", 81))
        await has(log, {"good": 81})
        await until(lambda: _names(log, {"link.yaml", "pipe.yaml"}))
    # They hold back nothing when it begins anew: what is gone from other files is deleted all the same.
    (root / "good.yaml").unlink()
    async with watching(log, root):
        await has(log, {})
        target.write_text(service("linked", 82))
        (root / "pipe.yaml").unlink()
        await has(log, {"linked": 82})
        await until(lambda: _names(log, set()))


async def test_a_name_that_is_no_text_is_shown_as_far_as_it_can_be(tmp_path: Path) -> None:
    log, odd = MemoryLog(), tmp_path / os.fsdecode(b"\xff.yaml")
    odd.write_text(service("odd"))
    (tmp_path / os.fsdecode(b"\xfe.yaml")).symlink_to(os.fsdecode(b"\xfd"))
    async with watching(log, tmp_path):
        await has(log, {"odd": 80})
        (tmp_path / "good.yaml").write_text(service("good"))
        await has(log, {"odd": 80, "good": 80})
        odd.write_text("kind: [")
        await until(lambda: _names(log, {"\ufffd.yaml", "\ufffd.yaml:1"}))
        (tmp_path / "good.yaml").write_text(service("good", 81))
        await has(log, {"odd": 80, "good": 81})
    assert CliRunner().invoke(app, ["check", str(tmp_path)]).exit_code == 1


async def _names(log: MemoryLog, wanted: set[str]) -> bool:
    return set(await refusals(log)) == wanted
