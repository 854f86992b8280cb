"""The end of a run: everything that it started is ended, though one of them cannot be."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from streams.broker import Broker
from streams.process import Process, recall, remember, spawn
from streams.settings import Settings
from streams.sinks.local_envoy import remembered, stop_all
from streams.standalone import Outside, Standalone, watcher


@contextmanager
def sleeping(data: Path, name: str) -> Iterator[Process]:
    """A process that is remembered as a proxy of a run."""
    process = spawn([sys.executable, "-c", "import signal; signal.pause()"], data / f"{name}.log")
    remember(data / "proxies" / name / "process.json", process, gateway=name)
    try:
        yield process
    finally:
        subprocess.run(["kill", "-9", str(process.pid)], check=False)


def test_what_cannot_be_ended_keeps_nothing_else_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(tmp_path / "broker")
    with ExitStack() as stack:
        one, stubborn, other = [stack.enter_context(sleeping(tmp_path, name)) for name in ("a", "b", "c")]
        asyncio.run(broker.start())
        stack.callback(lambda: asyncio.run(broker.stop()))
        kill = os.kill

        def refused(pid: int, number: int) -> None:
            """As the kernel does for a process of somebody else."""
            if pid == stubborn.pid:
                raise PermissionError(1, "Operation not permitted")
            kill(pid, number)

        monkeypatch.setattr(os, "kill", refused)
        run = Standalone(Settings(data=tmp_path), Outside({}), {}, lambda *_: None, lambda *_: asyncio.sleep(0))
        with pytest.raises(OSError, match=f"end process {stubborn.pid} yourself: .*not permitted"):
            asyncio.run(run.down())
        monkeypatch.undo()
        assert [process.alive() for process in (one, stubborn, other)] == [False, True, False]
        assert broker.running() is None


def test_a_link_to_a_directory_is_watched_as_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "now").symlink_to("v1")
    monkeypatch.chdir(tmp_path)
    assert watcher("east", Path("now")).arguments == ("watch", f"east={tmp_path}/now")


def test_a_copied_directory_ends_no_proxy_of_its_original(tmp_path: Path) -> None:
    with sleeping(tmp_path / "one", "a") as process:
        shutil.copytree(tmp_path / "one", tmp_path / "two")
        asyncio.run(stop_all(tmp_path / "two" / "proxies"))
        assert remembered(tmp_path / "two" / "proxies") == []
        assert process.alive()
        (tmp_path / "one").rename(tmp_path / "three")
        found = recall(tmp_path / "three" / "proxies" / "a" / "process.json")
        assert found is not None
        assert found[0] == process
