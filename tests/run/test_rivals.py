"""Two watchers of one cluster: the later one counts, the other ends, and says whose cluster it was and what to do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.events import SyncBegin, SyncEnd
from engine.seal import KEY_BYTES, Sealer
from streams.codec import encode_change_set
from streams.domain import Domain
from streams.hanging import mend, writers
from streams.kafka import KafkaLog
from streams.memory import MemoryLog
from streams.ports import Fenced, Log, Superseded, Writer
from tests.run import test_files
from tests.run.test_files import has, objects, service, sets, until
from tests.streams.toy import kafka_log
from tests.support.signing import EAST, TRUSTING, said, signer

LOGS = pytest.mark.parametrize("kind", ["memory", pytest.param("kafka", marks=pytest.mark.kafka)])


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.sources.journal._FENCED_SECONDS", 0.2)


@pytest.fixture
def address(kind: str, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("broker")) if kind == "kafka" else ""


@pytest.fixture
async def log(address: str) -> AsyncIterator[Log]:
    if not address:
        yield MemoryLog()
        return
    async with kafka_log(address) as found:
        yield found


@asynccontextmanager
async def watching(log: Log, root: Path) -> AsyncIterator[asyncio.Task[None]]:
    with contextlib.suppress(Superseded):
        async with test_files.watching(log, root) as task:
            yield task


def directory(path: Path, name: str, port: int = 80) -> Path:
    path.mkdir(exist_ok=True)
    (path / f"{name}.yaml").write_text(service(name, port))
    return path


async def ends(task: asyncio.Task[None]) -> str:
    with pytest.raises(Superseded) as error:
        await asyncio.wait_for(task, 240)
    return str(error.value)


@LOGS
async def test_the_fenced_one_ends_and_the_other_stays(tmp_path: Path, log: Log) -> None:
    first, second = directory(tmp_path / "first", "a"), directory(tmp_path / "second", "b")
    async with watching(log, first) as one:
        await has(log, {"a": 80})
        async with watching(log, second) as other:
            await has(log, {"b": 80})
            directory(first, "a", 81)
            said = await ends(one)
            assert "another watcher of cluster local has written to the log since" in said
            assert "stop one of the two, or name one of them differently (NAME=DIR)" in said
            directory(second, "b", 81)
            await has(log, {"b": 81})
            assert not other.done()
    assert len(await sets(log)) == 3


@pytest.mark.parametrize("is_resolved", [False, True])
async def test_a_record_that_nobody_registered_signed_ends_nobody(tmp_path: Path, is_resolved: bool) -> None:  # noqa: FBT001
    log = MemoryLog(signer=signer(EAST))
    log.trust = replace(TRUSTING, trusted_keys=(*TRUSTING.trusted_keys, ("cluster/local", signer(EAST).public)))
    async with watching(log, directory(tmp_path / "root", "a")) as task:
        await has(log, {"a": 80})
        async with log.writer("source-default-local"):
            log.signer, signing = None, log.signer
            async with log.appender() as writer:
                await writer.write(encode_change_set(said("local", "files", SyncBegin(), SyncEnd(), name="forged")))
            log.signer = signing
            if is_resolved:
                # The state is then behind what was forged, and only penstock.rejected tells.
                domain = Domain(log, lambda: Engine(Sealer(bytes(KEY_BYTES)), log.trust))
                await domain.acquire()
                await domain.release()
        directory(tmp_path / "root", "a", 81)
        await has(log, {"a": 81})
        assert not task.done()


@LOGS
async def test_two_that_say_the_same_settle_too(tmp_path: Path, log: Log) -> None:
    root = directory(tmp_path / "root", "a")
    async with watching(log, root) as one:
        await has(log, {"a": 80})
        async with watching(log, root) as other:
            for port in range(81, 85):
                directory(root, "a", port)
                await has(log, {"a": port})
            await until(lambda: _any(one, other))
            await ends(one if one.done() else other)
            directory(root, "a", 90)
            await has(log, {"a": 90})
            assert one.done() != other.done()


async def _any(*tasks: asyncio.Task[None]) -> bool:
    return any(task.done() for task in tasks)


@pytest.mark.kafka
@pytest.mark.parametrize("kind", ["kafka"])
async def test_one_that_was_fenced_to_end_a_hanging_transaction_takes_over_again(tmp_path: Path, log: KafkaLog) -> None:
    root = directory(tmp_path / "root", "a")
    async with watching(log, root) as task:
        await has(log, {"a": 80})
        name = "source-default-local"
        async with log.writer(name):
            directory(root, "a", 81)
            await has(log, {"a": 81})
        await mend(log, writers("default", ["local"]), "default", 0, patience=0.5)
        directory(root, "a", 82)
        await has(log, {"a": 82})
        assert not task.done()


class _Slow(MemoryLog):
    """A log to which a first listing takes a minute: a transaction that may take less is ended by its own limit."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[float] = []

    @asynccontextmanager
    async def writer(self, transactional_id: str, seconds: float = 10.0) -> AsyncIterator[Writer]:
        self.given.append(seconds)
        async with super().writer(transactional_id, seconds) as writer:
            yield writer if seconds >= 60 else _TooLate()


class _TooLate:
    async def write(self, _: object) -> list[int]:
        raise Fenced("the transaction timed out")


async def test_one_that_its_own_limit_fences_gets_more_time(tmp_path: Path) -> None:
    log = _Slow()
    async with watching(log, directory(tmp_path / "root", "a")) as task:
        await has(log, {"a": 80})
        assert log.given == [10.0, 30.0, 90.0]
        assert not task.done()


@pytest.mark.kafka
def test_the_role_ends_with_a_code_of_its_own(tmp_path: Path, broker: str) -> None:
    async def made() -> KafkaLog:
        async with kafka_log(broker) as log:
            return log

    log = asyncio.run(made())
    environment = {**os.environ, "PENSTOCK_TOPIC_PREFIX": log.prefix, "PENSTOCK_BROKERS": broker}

    def started(name: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "streams.cli", "watch", str(directory(tmp_path / name, name))]
        own = {**environment, "PENSTOCK_DATA": str(tmp_path / f"data-{name}")}
        return subprocess.Popen(words, env=own, stderr=subprocess.PIPE, text=True)

    with started("first") as one:
        try:
            asyncio.run(has(log, {"first": 80}))
            with started("second") as other:
                try:
                    asyncio.run(has(log, {"second": 80}))
                    directory(tmp_path / "first", "first", 81)
                    assert one.wait(40) == 4
                    assert one.stderr is not None
                    assert "penstock: another watcher of cluster local" in one.stderr.read()
                    assert asyncio.run(objects(log)) == {"second": 80}
                finally:
                    other.terminate()
        finally:
            one.kill()
