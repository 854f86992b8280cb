"""Processes that outlive who started them, known again from a file by pid and start time; no word of whose they are."""

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
            stat = _stat(self.pid)
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

    async def stop(self, seconds: float = _STOP_SECONDS) -> None:
        """End it, and wait until it is gone; after so many seconds it is killed."""
        self.signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
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
    return running(child.pid)


_CHILDREN: list[subprocess.Popen[bytes]] = []
"""Kept, so that ended children are reaped by `poll`."""


def reap() -> None:
    """Let ended children go."""
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]


def running(pid: int) -> Process:
    """The process that runs under a number now. Raises OSError when there is none."""
    return Process(pid, _stat(pid)[19])


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on (proc_pid_stat(5), the third field)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def remember(path: Path, process: Process, **more: object) -> None:
    """Write a process to a file, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    known = {"pid": process.pid, "started": process.started, "directory": _identity(path.parent)}
    temporary.write_text(json.dumps({**known, **more}))
    temporary.replace(path)


def recall(path: Path) -> tuple[Process, dict[str, object]] | None:
    """The living process of a file; None when there is none, or when the file was copied from another's directory."""
    data = noted(path)
    try:
        process = Process(int(str(data["pid"])), str(data["started"]))
    except (ValueError, KeyError):
        return None
    return (process, data) if process.alive() else None


def noted(path: Path) -> dict[str, object]:
    """What a file says of its process, a dead one too; nothing when it says nothing of one of this directory.

    A copy of a directory is none of its processes' business: whoever took them for its own would end another's.
    """
    try:
        data = json.loads(path.read_text())
        # Written by an earlier version it names no directory.
        is_ours = isinstance(data, dict) and data.get("directory") in (None, _identity(path.parent))
    except (OSError, ValueError):
        return {}
    return data if is_ours else {}


def _identity(directory: Path) -> str:
    """Device and inode: they stay when it is renamed, and are others for a copy, wherever that lies."""
    found = directory.stat()
    return f"{found.st_dev}:{found.st_ino}"


def locker(path: Path) -> int | None:
    """The process that holds a lock on a file; None when nobody does, or nobody that can be seen from here."""
    try:
        file = path.stat()
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return None
    # Inodes of other devices may have the same number, and the kernel's word for a device is not always ours.
    held = [int(one[4]) for one in locks if one[1] == "POSIX" and one[5].rpartition(":")[2] == str(file.st_ino)]
    return next((pid for pid in held if _has_open(pid, file)), None)


def _has_open(pid: int, file: os.stat_result) -> bool:
    for one in Path(f"/proc/{pid}/fd").iterdir() if os.access(f"/proc/{pid}/fd", os.R_OK | os.X_OK) else ():
        with suppress(OSError):
            if os.path.samestat(one.stat(), file):
                return True
    return False


def words(code: int) -> str:
    """How a process ended, in words."""
    return f"signal {-code}" if code < 0 else f"code {code}"
