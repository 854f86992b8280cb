"""Roles are kept alive, heard and ended; one that dies concerns no other."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from streams.supervisor import Role, Supervisor

_SECONDS = 240.0
_STEADY = "import signal, sys, time\nprint('up', flush=True)\nsignal.pause()"
_STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\nsignal.pause()\nsignal.pause()"


@dataclass(slots=True)
class Heard:
    lines: list[tuple[str, str]] = field(default_factory=list)

    def say(self, role: str, text: str) -> None:
        self.lines.append((role, text))

    def of(self, role: str) -> list[str]:
        return [text for name, text in self.lines if name == role]


@asynccontextmanager
async def supervising(scripts: dict[str, str], heard: Heard) -> AsyncIterator[Supervisor]:
    roles = [Role(name, (script,)) for name, script in scripts.items()]
    supervisor = Supervisor(roles, {"GIVEN": "yes"}, heard.say, (sys.executable, "-c"))
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(question: Callable[[], object]) -> None:
    async with asyncio.timeout(_SECONDS):
        while not question():
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_role_that_another_took_over_from_stays_ended_and_the_others_go_on() -> None:
    heard = Heard()
    async with supervising({"one": "import sys; print('taken'); sys.exit(4)", "other": _STEADY}, heard) as supervisor:
        await until(lambda: len(heard.of("one")) == 2 and heard.of("other"))
        assert heard.of("one") == ["taken", "ended, and is not started again; all else goes on"]
        os.kill(supervisor.pids["other"], signal.SIGKILL)
        await until(lambda: heard.of("other").count("up") == 2)
        assert len(heard.of("one")) == 2


async def test_a_killed_role_starts_again_and_the_others_go_on() -> None:
    heard = Heard()
    async with supervising({"a": _STEADY, "b": _STEADY}, heard) as supervisor:
        await until(lambda: heard.of("a") and heard.of("b"))
        before = dict(supervisor.pids)
        os.kill(before["a"], signal.SIGKILL)
        await until(lambda: heard.of("a").count("up") == 2)
        assert "ended with signal 9" in heard.of("a")[1]
        assert supervisor.pids["a"] != before["a"]
        assert supervisor.pids["b"] == before["b"]
        pids = [*supervisor.pids.values()]
    assert not any(alive(pid) for pid in pids)


async def test_a_role_that_keeps_dying_is_tried_later_and_later() -> None:
    heard = Heard()
    async with supervising({"a": "import sys; print('no', file=sys.stderr); sys.exit(3)"}, heard):
        await until(lambda: len([one for one in heard.of("a") if "ended with code 3" in one]) >= 3)
    pauses = [one.rsplit("in ", 1)[1] for one in heard.of("a") if "ended" in one]
    assert pauses[:3] == ["0.5 s", "1.0 s", "2.0 s"]
    assert "no" in heard.of("a")


async def test_a_role_that_does_not_want_to_end_is_killed() -> None:
    heard = Heard()
    async with supervising({"a": _STUBBORN}, heard) as supervisor:
        await until(lambda: heard.of("a"))
        pid = supervisor.pids["a"]
    assert not alive(pid)


async def test_what_a_role_prints_never_ends_the_run() -> None:
    heard = Heard()
    script = "import os, sys, signal\nos.write(1, b'x' * (3 << 20) + b'\\n\\xff\\n')\nprint(os.environ['GIVEN'], flush=True)\nsignal.pause()"
    async with supervising({"a": script}, heard):
        await until(lambda: "yes" in heard.of("a"))
    assert max(len(one) for one in heard.of("a")) < 1 << 20


async def test_a_role_that_cannot_be_spawned_is_tried_again_and_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """EAGAIN, ENOMEM or EMFILE of one fork ended the whole run."""
    heard, real, full = Heard(), asyncio.create_subprocess_exec, True

    async def spawned(*words: str, **more: object) -> asyncio.subprocess.Process:
        if full and "late" in words[-1]:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return await real(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawned)
    async with supervising({"a": _STEADY, "b": f"{_STEADY}  # late"}, heard) as supervisor:
        await until(lambda: heard.of("a") and heard.of("b"))
        pid = supervisor.pids["a"]
        # The second try comes after half a second, and says nothing anew.
        began = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() - began > 1.0)
        (said,) = heard.of("b")
        assert "cannot be started" in said
        assert os.strerror(errno.EAGAIN) in said
        full = False
        await until(lambda: "up" in heard.of("b"))
        assert supervisor.pids["a"] == pid
        assert alive(pid)
