"""What a file said and the log holds outlives every slip in the file: only what is certainly gone is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from engine.events import Change, Delete, Put, Refused
from engine.seal import KEY_BYTES, Sealer
from streams.codec import decode_change_set
from streams.memory import MemoryLog
from streams.sources.directory import Directory
from streams.sources.files import _Source
from streams.sources.journal import Journal
from streams.sources.logged import Place, logged
from streams.topics import Topic
from tests.run.test_files import service

_TIME = "2026-11-24T10:00:00.000Z"


async def _changes(log: MemoryLog) -> list[Change]:
    records = [one async for batch in log.read(Topic.CHANGES, 0) for one in batch]
    return [change for one in records for change in decode_change_set(one).changes]


async def _played(root: Path, texts: Iterable[str | None], *, restart: bool = False) -> list[Change]:
    """What is appended by the last of these texts of a file; None is none."""
    log, place = MemoryLog(), Place("files", "local")
    directory, before = Directory(root, "local"), 0
    path = root / "x.yaml"
    async with log.writer("s") as writer:
        for text in texts:
            before = len(await _changes(log))
            if restart:
                directory = Directory(root, "local")
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
            touched = directory.look()
            journal = Journal(place, writer, await logged(log, "local", 0), lambda: _TIME)
            source = _Source(directory, journal, Sealer(bytes(KEY_BYTES)))
            directory.compare(source.logged.objects.keys())
            await source._append(touched | source.logged.objects.keys())
    return (await _changes(log))[before:]


def _deleted(changes: Iterable[Change]) -> list[str]:
    return [change.ref.name for change in changes if isinstance(change, Delete)]


def _told(changes: Iterable[Change]) -> str:
    return "; ".join(change.message for change in changes if isinstance(change, Refused))


A, B = service("a"), service("b")
BAD = service("b", 99_999_999)


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_what_was_refused_before_the_file_broke_stays(tmp_path: Path, *, restart: bool) -> None:
    texts = [A + "---\n" + B, A + "---\n" + BAD, A + "---\n" + BAD + "\n  : [broken\n"]
    assert _deleted(asyncio.run(_played(tmp_path, texts, restart=restart))) == []
    # Put right without it, it is gone.
    assert _deleted(asyncio.run(_played(tmp_path, [*texts, A], restart=restart))) == ["b"]


UNCLEAR = {
    "kind": B.replace("kind: Service", "kind: Servce"),
    "apiVersion": B.replace("apiVersion: v1", "apiVersion: v1beta9/x"),
    "no kind": B.replace("kind: Service\n", ""),
    "metadata": B.replace("metadata", "metdata"),
    "name": B.replace("{name: b}", "{nam: b}"),
    "slash": B.replace("name: b", "name: b/c"),
    "number": B.replace("name: b", "name: 7"),
    "size": B + 'x: "' + "y" * (3 << 20) + '"\n',
    "nan": B + "x: .nan\n",
    "deeper": B + "x: " + "[" * 80 + "]" * 80 + "\n",
    "list": "- " + B.replace("\n", "\n  "),
}


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("text", UNCLEAR.values(), ids=UNCLEAR)
def test_a_slip_in_a_document_deletes_nothing(tmp_path: Path, text: str, *, restart: bool) -> None:
    changes = asyncio.run(_played(tmp_path, [A + "---\n" + B, A + "---\n" + text], restart=restart))
    assert _deleted(changes) == []
    assert _told(changes)
    twice = asyncio.run(_played(tmp_path, [A + "---\n" + B, A + "---\n" + text, A], restart=restart))
    assert _deleted(twice) == ["b"]


@pytest.mark.parametrize("name", ["size", "nan"])
def test_an_object_that_no_record_can_hold_is_refused_as_itself(tmp_path: Path, name: str) -> None:
    changes = asyncio.run(_played(tmp_path, [B, UNCLEAR[name]]))
    assert [str(one.ref) for one in changes if isinstance(one, Refused)] == ["local//Service/default/b"]


@pytest.mark.parametrize("name", ["kind", "apiVersion", "metadata", "name"])
@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_the_refusal_says_what_stays_because_of_it(tmp_path: Path, name: str, *, restart: bool) -> None:
    told = _told(asyncio.run(_played(tmp_path, [B, UNCLEAR[name]], restart=restart)))
    assert told.endswith("; until this is corrected what it said before stays: Service default/b")


def test_other_kinds_of_the_same_name_hold_nothing(tmp_path: Path) -> None:
    other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n"
    for restart in (False, True):
        assert _deleted(asyncio.run(_played(tmp_path, [B + "---\n" + other, other], restart=restart))) == ["b"]


def test_a_file_that_never_was_clear_holds_nothing_of_others(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    changes = asyncio.run(_played(tmp_path, [A + "---\n" + B, A]))
    assert _deleted(changes) == ["b"]


def test_what_moved_out_of_an_unclear_file_is_read_where_it_is(tmp_path: Path) -> None:
    root, unclear = tmp_path, UNCLEAR["metadata"]
    directory = Directory(root, "local")
    (root / "x.yaml").write_text(B)
    directory.look()
    (root / "x.yaml").write_text(unclear)
    (root / "y.yaml").write_text(service("b", 81))
    (ref,) = directory.look()
    found = directory.object(ref)
    assert found is not None
    assert found.name == "y.yaml"
    assert isinstance(Put(ref, found.object), Put)
