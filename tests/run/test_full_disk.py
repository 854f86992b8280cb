"""What a run does on a disk without a byte left: it goes on, says so, and is whole again once there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.cli.view import Screen
from streams.identity import IdentityError, lock
from streams.memory import MemoryLog
from streams.sinks.local_envoy import DeployOptions
from tests.run.test_local_envoy import deploying, wants
from tests.support.disk import Disk, disk

ONE = "local/gateway.networking.k8s.io/Gateway/default/one"


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path / "disk", 4) as found:
        (found.path / "data").mkdir()
        yield found


def test_it_is_really_full(full: Disk) -> None:
    full.fill()
    with pytest.raises(OSError, match="No space left"):
        (full.path / "data" / "file").write_text("x")
    full.free()
    (full.path / "data" / "file").write_text("x")


def test_a_role_that_starts_takes_its_lock(full: Disk) -> None:
    data = full.path / "data"
    full.fill()
    with lock(data, "publish.lock"):
        assert (data / "publish.lock").read_text() == ""
        with pytest.raises(IdentityError, match="is in use by process"), lock(data, "publish.lock"):
            pytest.fail("two roles hold one lock")


def test_lines_are_shown_and_are_kept_again_once_there_is_room(full: Disk, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(full.path / "data", live=False)
    full.fill()
    for number in range(3):
        screen.say("role", f"line {number}")
    shown = capsys.readouterr().out
    assert shown.count("lines are shown only: No space left on device; free space") == 1
    assert [f"line {number}" in shown for number in range(3)] == [True] * 3
    full.free()
    screen.say("role", "kept")
    assert (full.path / "data" / "role.log").read_text() == "kept\n"
    full.fill()
    screen.say("other", "line")
    assert "other.log cannot be written" in capsys.readouterr().out


async def test_an_envoy_that_cannot_be_remembered_does_not_run_beside_its_successor(tmp_path: Path) -> None:
    envoy = tmp_path / "envoy"
    envoy.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/pids\nexec sleep 600\n")
    envoy.chmod(0o755)
    log = MemoryLog()
    options = DeployOptions(tmp_path / "proxies", tmp_path / "ads.sock", envoy, lambda _: "token")
    async with deploying(log, options) as deployer:
        obstacle = deployer._file(ONE).with_name(".process.json.new")
        obstacle.mkdir(parents=True)
        await wants(log, 1, {ONE})
        async with asyncio.timeout(240):
            while deployer.running.get(ONE) is None or deployer.running[ONE].failures < 2:
                await asyncio.sleep(0.02)
        assert _living(tmp_path) == []
        obstacle.rmdir()
        async with asyncio.timeout(240):
            while deployer.running[ONE].process is None:
                await asyncio.sleep(0.02)
        assert _living(tmp_path) in ([], [deployer.running[ONE].process.pid])
        deployer.running[ONE].process.kill()


def _living(directory: Path) -> list[int]:
    """Of the processes that were started, those that still run: a zombie does not."""
    pids = map(int, (directory / "pids").read_text().split()) if (directory / "pids").exists() else ()
    return [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()]
