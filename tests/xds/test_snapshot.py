"""The snapshot on disk: whole changes or none of them, at the cost of what changed."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.envoy.wire import frame
from engine.seal import KEY_BYTES, Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.xds.publisher import Saver
from streams.xds.snapshot import Snapshot, SnapshotFile, last_offset, load
from streams.xds.stream import Publication
from tests.xds.test_session import piece

_SEALER = Sealer(bytes(KEY_BYTES))
_MANY = 250
"""More than fit into one piece of the file."""


def cluster(number: int, text: str = "first") -> Fragment:
    """One of many clusters."""
    return piece(FragmentKind.CLUSTER, f"c{number:05}", frame(1, text.encode()))


def clusters(count: int, text: str = "first") -> dict[FragmentKey, Fragment]:
    """So many clusters by key."""
    return {one.key: one for one in (cluster(number, text) for number in range(count))}


async def begun(path: Path, count: int) -> SnapshotFile:
    """A file that begins with so many clusters at offset 1."""
    file = SnapshotFile(path, _SEALER)
    await file.replace(list(clusters(count).values()), 1)
    return file


async def until(question: Callable[[], bool]) -> None:
    """Poll; fails after a while."""
    async with asyncio.timeout(240):
        while not question():
            await asyncio.sleep(0.01)


async def test_what_was_written_is_read(tmp_path: Path) -> None:
    """The beginning, what was set and what was removed since."""
    file = await begun(tmp_path / "folder" / "s", _MANY)
    await file.append({cluster(3).key: cluster(3, "second"), cluster(4).key: None}, 2)
    await file.append({cluster(_MANY).key: cluster(_MANY)}, 5)
    await file.append({}, 6)
    wanted = clusters(_MANY + 1) | {cluster(3).key: cluster(3, "second")}
    del wanted[cluster(4).key]
    assert load(tmp_path / "folder" / "s", _SEALER) == Snapshot(wanted, 6)


async def test_its_offset_is_read_without_its_fragments(tmp_path: Path) -> None:
    """What every role asks of it at its start, however it was cut short."""
    path, cut = tmp_path / "s", tmp_path / "cut"
    file = await begun(path, _MANY)
    await file.append({cluster(3).key: None}, 7)
    data = path.read_bytes()
    for size in range(0, len(data) + 1, 101):
        cut.write_bytes(data[:size])
        whole = load(cut, _SEALER)
        assert last_offset(cut, _SEALER) == (whole.offset if whole is not None else -1)
    assert last_offset(path, _SEALER) == 7
    assert last_offset(path, Sealer(b"\1" * KEY_BYTES)) == -1
    assert last_offset(tmp_path / "none", _SEALER) == -1


async def test_a_change_costs_what_changed(tmp_path: Path) -> None:
    """As many bytes among many fragments as among few."""
    costs = []
    for count in (1, 20 * _MANY):
        path = tmp_path / str(count)
        file = await begun(path, count)
        before = path.stat().st_size
        await file.append({cluster(0).key: cluster(0, "second")}, 2)
        costs.append(path.stat().st_size - before)
    assert costs[0] == costs[1] > 0


async def test_a_change_cut_short_is_left_out_whole(tmp_path: Path) -> None:
    """Wherever a crash cuts the file: the state before a change or the one after it, and of the beginning all."""
    path, cut = tmp_path / "s", tmp_path / "cut"
    file = await begun(path, 3)
    first = path.stat().st_size
    await file.append(clusters(_MANY, "second"), 2)
    data = path.read_bytes()
    step = 97
    found = []
    for size in [*range(0, len(data), step), len(data) - 1, len(data)]:
        cut.write_bytes(data[:size])
        found.append((size, load(cut, _SEALER)))
    whole = Snapshot(clusters(_MANY, "second"), 2)
    assert found[-1] == (len(data), whole)
    for size, snapshot in found[:-1]:
        assert snapshot == (Snapshot(clusters(3), 1) if size >= first else None)


async def test_pieces_are_of_one_file_in_its_order(tmp_path: Path) -> None:
    """A piece that was taken out, or comes from another file, is not read, nor what is behind it."""
    path = tmp_path / "s"
    file = await begun(path, 1)
    sizes = [path.stat().st_size]
    for offset in (2, 3):
        await file.append({cluster(0).key: cluster(0, str(offset))}, offset)
        sizes.append(path.stat().st_size)
    data = path.read_bytes()
    path.write_bytes(data[: sizes[0]] + data[sizes[1] :])
    assert load(path, _SEALER) == Snapshot(clusters(1), 1)


async def test_nobody_else_reads_or_writes_it(tmp_path: Path) -> None:
    """Another key reads nothing, a changed byte ends the file, and nothing of it is in clear."""
    path = tmp_path / "s"
    await begun(path, 2)
    data = path.read_bytes()
    assert b"first" not in data
    assert b"c00001" not in data
    assert load(path, Sealer(b"\1" * KEY_BYTES)) is None
    path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    assert load(path, _SEALER) is None
    assert load(tmp_path / "none", _SEALER) is None


async def test_the_file_stays_bounded(tmp_path: Path) -> None:
    """What was appended may outweigh the beginning, by so much and no more; then it is written anew."""
    path = tmp_path / "s"
    file = await begun(path, 10)
    offset = 1
    while not file.is_due:
        offset += 1
        await file.append(clusters(10, f"{offset}" * 2000), offset)
    assert path.stat().st_size < 2_000_000
    await file.replace(list(clusters(10, "last").values()), offset)
    assert not file.is_due
    assert path.stat().st_size < 10_000
    assert load(path, _SEALER) == Snapshot(clusters(10, "last"), offset)


async def test_a_file_that_could_not_be_written_is_begun_anew(tmp_path: Path) -> None:
    """After a disk that is full in the middle of a change nothing is appended behind the half of it."""
    path = tmp_path / "s"
    file = await begun(path, 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            await file.append(clusters(_MANY), 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.is_due
    with pytest.raises(OSError, match="not begun"):
        await file.append(clusters(_MANY), 3)
    assert load(path, _SEALER) == Snapshot(clusters(2), 1)
    await file.replace(list(clusters(3).values()), 3)
    assert load(path, _SEALER) == Snapshot(clusters(3), 3)


async def test_the_saver_follows_what_is_published(tmp_path: Path) -> None:
    """The first save is of everything, later ones go to the same file; both say what is published."""
    path = tmp_path / "s"
    publication = Publication(_SEALER, lambda _: None)
    saver = Saver(SnapshotFile(path, _SEALER), publication)

    def publish(rows: dict[FragmentKey, Fragment | None], offset: int) -> None:
        publication.apply(rows, offset)
        saver.offer(rows, offset)

    def is_saved() -> bool:
        found = load(path, _SEALER)
        return found is not None and found.offset == offset

    task = asyncio.create_task(saver.run())
    try:
        saver.offer({}, -1)
        offset = 1
        publish(dict(clusters(_MANY)), offset)
        await until(is_saved)
        began = path.stat().st_ino
        for offset in (2, 3):
            publish({cluster(offset).key: None, cluster(0).key: cluster(0, str(offset))}, offset)
            await until(is_saved)
            found = load(path, _SEALER)
            assert found is not None
            assert found.fragments == {one.key: one for one in publication.fragments()}
        assert path.stat().st_ino == began
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
