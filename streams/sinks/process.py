"""Processes that outlive who started them: remembered in a file, known again by their start time, ended by pid."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STOP_SECONDS = 5.0
_KILL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Process:
    """A process; `started` is its start time in the kernel's words, so that a reused pid is not taken for it."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        return stat[0] != "Z" and stat[19] == self.started

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs. Raises OSError when it may not be sent."""
        if self.alive():
            # It may have ended since.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, and wait until it is gone: a killed process takes a moment at most."""
        self.signal(signal.SIGKILL)
        deadline = time.monotonic() + _KILL_SECONDS
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.005)

    async def stop(self) -> None:
        """End it, and wait until it is gone."""
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while self.alive():
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)
            await asyncio.sleep(0.02)


def spawn(command: Sequence[str | Path], log: Path) -> Process:
    """Start a command in a session of its own, its output to a file. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        child = subprocess.Popen(  # noqa: S603  our own arguments
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    _CHILDREN.append(child)
    return Process(child.pid, _started(child.pid))


_CHILDREN: list[subprocess.Popen[bytes]] = []
"""Kept, so that ended children are reaped by `poll`."""


def reap() -> None:
    """Let ended children go."""
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]


def _started(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def remember(path: Path, process: Process, **more: object) -> None:
    """Write a process to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps({"pid": process.pid, "started": process.started, **more}))
    temporary.replace(path)


def recall(path: Path) -> tuple[Process, dict[str, object]] | None:
    """The living process of a file; None when there is none."""
    try:
        data = json.loads(path.read_text())
        process = Process(int(data["pid"]), str(data["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (process, data) if process.alive() else None
