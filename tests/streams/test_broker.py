"""The embedded Kafka outlives who started it, is adopted, keeps what it was given, and says what is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from streams.broker import Broker, BrokerError, process
from streams.broker.jars import JarsMissing, class_path
from streams.kafka import KafkaLog
from streams.ports import Outgoing, Unavailable
from streams.topics import Topic
from tests.streams.toy import records, until, write_once_taken

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).parents[2]


async def write(log: KafkaLog, value: bytes) -> None:
    await write_once_taken(log, Outgoing(Topic.CHANGES, 0, b"k", value))


async def written(log: KafkaLog) -> list[bytes | None]:
    """What is in the log, each value once."""
    return list(dict.fromkeys(row.value for row in await records(log, Topic.CHANGES)))


async def test_it_listens_where_it_is_told(tmp_path: Path) -> None:
    node = Broker(tmp_path, host="127.0.0.2")
    try:
        address = await node.start()
        assert address.startswith("127.0.0.2:")
        assert node.running() == address
        # Clients go to the address that the node tells of itself.
        await KafkaLog(address).create_topics()
    finally:
        await node.stop()


async def test_a_killed_starter_leaves_it_and_the_next_one_adopts_it(tmp_path: Path) -> None:
    code = (
        "import asyncio, pathlib, sys\n"
        "from streams.broker import Broker\n"
        "print(asyncio.run(Broker(pathlib.Path(sys.argv[1])).start()), flush=True)\n"
        "asyncio.run(asyncio.sleep(600))\n"
    )
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, tmp_path, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert starter.stdout is not None
    address = (await starter.stdout.readline()).decode().strip()
    starter.kill()
    await starter.wait()
    node = Broker(tmp_path)
    try:
        pid = node.pid
        assert node.running() == address
        assert await node.start() == address
        assert node.pid == pid
    finally:
        await node.stop()
    assert node.running() is None
    assert node.address() == address  # where clients that wait will find it again


async def test_what_was_written_survives_a_kill_and_clients_go_on(tmp_path: Path) -> None:
    node = Broker(tmp_path)
    log = KafkaLog(await node.start())
    try:
        await log.create_topics(1)
        await write(log, b"before")
        seen: list[bytes | None] = []

        async def follow() -> None:
            async for batch in log.follow(Topic.CHANGES, 0):
                seen.extend(row.value for row in batch)

        async def first_seen() -> bool:
            return set(seen) == {b"before"}

        async def all_seen() -> bool:
            return list(dict.fromkeys(seen)) == [b"before", b"after"]

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(follow())
            await until(first_seen)
            assert node.pid is not None
            os.kill(node.pid, signal.SIGKILL)
            await until(_ended(node))
            with pytest.raises(Unavailable, match="does not answer"):
                await log.ends(Topic.CHANGES, 0)
            assert await node.start() == log.brokers
            await write(log, b"after")
            await until(all_seen)
            task.cancel()
        assert await written(log) == [b"before", b"after"]
    finally:
        await node.stop()


@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX"])
async def test_a_directory_of_any_name_keeps_its_log(
    tmp_path: Path, locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Java properties are Latin-1 with escapes, and the directories of a log a list with commas."""
    monkeypatch.setenv("LC_ALL", locale)
    directory = tmp_path / "dä y,x\\n #\t\n"
    node = Broker(directory)
    for value in (b"before", b"after"):
        log = KafkaLog(await node.start())
        try:
            await log.create_topics(1)
            await write(log, value)
            assert (directory / "log" / "meta.properties").exists()
        finally:
            await node.stop()
    log = KafkaLog(await node.start())
    try:
        assert await written(log) == [b"before", b"after"]
    finally:
        await node.stop()
    assert [one.name for one in tmp_path.iterdir()] == [directory.name]  # noqa: ASYNC240


def _formatters(directory: Path) -> set[int]:
    """Processes that format a log, by their working directory or their words."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (path / "cmdline").read_bytes()
            here = str(directory) in f"{(path / 'cwd').readlink()} {words.decode(errors='replace')}"
            if here and b"kafka.tools.StorageTool" in words:
                found.add(int(path.name))
    return found


async def test_a_start_that_was_killed_while_it_formatted_is_followed_by_one_that_works(tmp_path: Path) -> None:
    code = "import asyncio, pathlib, sys; from streams.broker import Broker; asyncio.run(Broker(pathlib.Path(sys.argv[1])).start())"
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", code, tmp_path, cwd=ROOT)

    async def formats() -> bool:
        return bool(_formatters(tmp_path))

    await until(formats)
    starter.kill()
    await starter.wait()
    # At once: whoever formats for the one that was killed goes on.
    assert _formatters(tmp_path)
    node = Broker(tmp_path)
    try:
        await node.start()
        assert node.running() is not None
    finally:
        await node.stop()


async def test_a_log_that_a_forgotten_node_holds_is_told_with_the_process(tmp_path: Path) -> None:
    node = Broker(tmp_path)
    await node.start()
    pid = node.pid
    file = tmp_path / "broker.json"
    kept = file.read_bytes()
    file.unlink()
    try:
        with pytest.raises(BrokerError, match=rf"log is held by process {pid}.*kill {pid}"):
            await Broker(tmp_path).start()
        assert not file.exists()
    finally:
        file.write_bytes(kept)
        await node.stop()


async def test_a_copied_directory_is_not_taken_for_its_original(tmp_path: Path) -> None:
    one = Broker(tmp_path / "one")
    address = await one.start()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    two = Broker(tmp_path / "two")
    try:
        assert (two.running(), two.address(), two.pid) == (None, "127.0.0.1:1", None)
        await two.stop()
        assert one.running() == address
        assert await two.start() != address
        await two.stop()
        assert one.running() == address
        (tmp_path / "one").rename(tmp_path / "three")
        assert Broker(tmp_path / "three").running() == address  # the same log
        (tmp_path / "three").rename(tmp_path / "one")
    finally:
        await two.stop()
        await one.stop()


def _ended(node: Broker):
    async def question() -> bool:
        return node.running() is None

    return question


async def test_another_port_is_taken_when_the_last_one_is_busy(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        (tmp_path / "broker.json").write_text(json.dumps({"pid": 1, "port": port, "started": "never"}))
        node = Broker(tmp_path)
        assert node.running() is None
        try:
            address = await node.start()
            assert address != f"127.0.0.1:{port}"
        finally:
            await node.stop()


async def test_a_damaged_directory_is_told_with_the_brokers_own_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    (log / "meta.properties").write_text("version=1\ncluster.id=other\nnode.id=77\n")
    with pytest.raises(BrokerError, match=r"the broker ended while starting:[\s\S]*node.?id"):
        await Broker(tmp_path).start()


async def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("streams.broker.process._FREE_BYTES", usage.free * 2)
    with pytest.raises(BrokerError, match=r"MiB left; the log needs at least"):
        await Broker(tmp_path).start()
    assert Broker(tmp_path).address() == "127.0.0.1:1"


def test_jars_that_cannot_be_had_are_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(JarsMissing, match=r"cannot be fetched.*Connect to Maven Central once, or name a Kafka"):
        class_path()


def test_no_cluster_id_looks_like_an_option() -> None:
    assert not [one for one in (process._cluster_id() for _ in range(2_000)) if one.startswith("-")]


def test_a_relative_directory_is_the_one_of_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    node = Broker(Path("data"))
    monkeypatch.chdir(tmp_path)
    started = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    (tmp_path / "here" / "data" / "broker.json").write_text(
        json.dumps({"pid": os.getpid(), "port": 7, "started": started})
    )
    assert (node.running(), node.address(), node.pid) == ("127.0.0.1:7", "127.0.0.1:7", os.getpid())
