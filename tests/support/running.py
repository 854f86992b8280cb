"""A `penstock run` in a process of its own, as tests start, watch and end it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# For what hangs: a machine that is not ours may be several times slower.
START_SECONDS = 300.0
SECONDS = 120.0


_GIVEN: set[int] = set()


def free_port() -> int:
    """One that nobody has, and that nobody was given here: two listeners of a Gateway must not have the same."""
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
        if port not in _GIVEN:
            _GIVEN.add(port)
            return port


def until(question: Callable[[], object], seconds: float = SECONDS, says: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            pytest.fail(f"did not come true within {seconds} s; {says()}")
        time.sleep(0.02)


class Running:
    """A `penstock run`, or another `command` that does not end by itself, in a process of its own."""

    def __init__(
        self, *arguments: str, out: Path, env: dict[str, str] | None = None, cwd: Path | None = None, command: str = "run"
    ) -> None:
        self._out = out
        with out.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", command, *arguments],
                stdout=file,
                stderr=file,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )

    def text(self) -> str:
        return self._out.read_text()

    def ends(self, number: int = signal.SIGINT) -> int:
        """Send a signal once it can be heard, and wait for the end."""
        self.process.send_signal(number)
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            pytest.fail(f"does not end:\n{self.text()}")


def processes(data: Path) -> dict[int, str]:
    """All living processes that name the data directory in their command line or environment."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if words and (str(data) in words or str(data).encode() in (path / "environ").read_bytes()):
                found[int(path.name)] = words
    return found


@contextmanager
def tidy(data: Path) -> Iterator[None]:
    """Whatever a failing test leaves is ended, by its pid."""
    try:
        yield
    finally:
        for pid in processes(data):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def pid_of(data: Path, words: str) -> int:
    found = [pid for pid, line in processes(data).items() if re.search(words, line)]
    return found[0] if found else 0


def penstock(data: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments, "--data", str(data)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr
