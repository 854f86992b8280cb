"""Keeps the roles of one run alive as processes of their own; it does none of their work."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streams.process import words

_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_STOP_SECONDS = 6.0
_STEADY_SECONDS = 10.0
SUPERSEDED: Final = 4
"""The code of a role that must not take back the place of another one."""


@dataclass(frozen=True, slots=True)
class Role:
    """A command of penstock, such as ("watch", "east=manifests")."""

    name: str
    arguments: tuple[str, ...]


@dataclass(slots=True)
class Supervisor:
    """`say` hears every line that a role prints, with the role's name; `command` is what its arguments follow."""

    roles: Sequence[Role]
    environment: Mapping[str, str]
    say: Callable[[str, str], None]
    command: Sequence[str] = (sys.executable, "-m", "streams.cli")
    own: Callable[[Role], Mapping[str, str]] = lambda _: {}
    """What a role gets in its environment beside what all get."""
    pids: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Run all roles until cancelled, then end them. Each is started again when it ends, but for SUPERSEDED."""
        async with asyncio.TaskGroup() as tasks:
            for role in self.roles:
                tasks.create_task(self._keep(role), name=f"role-{role.name}")

    async def _keep(self, role: Role) -> None:
        failures, trouble = 0, ""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                process = await self._start(role)
            except (OSError, RuntimeError) as error:
                # No process, thread, descriptor or memory to be had now: that must not end the other roles.
                ended = f"cannot be started: {error}"
            else:
                code, trouble = await self._finish(role, process), ""
                if code == SUPERSEDED:
                    self.say(role.name, "ended, and is not started again; all else goes on")
                    return
                ended = f"ended with {words(code)}"
            failures = 0 if loop.time() - began > _STEADY_SECONDS else failures + 1
            pause = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
            if ended != trouble:
                self.say(role.name, f"{ended}, starts again in {pause} s")
            trouble = ended
            await asyncio.sleep(pause)

    async def _start(self, role: Role) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self.command,
            *role.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.environment, **self.own(role), "PENSTOCK_PARENT": str(os.getpid())},
            # Ctrl-C in the terminal reaches the run only, which then ends its roles in order.
            start_new_session=True,
            limit=1 << 20,
        )

    async def _finish(self, role: Role, process: asyncio.subprocess.Process) -> int:
        """Hear it until it ends; the code it ended with."""
        self.pids[role.name] = process.pid
        try:
            if process.stdout is not None:
                await self._hear(role, process.stdout)
            return await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise

    async def _hear(self, role: Role, lines: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await lines.readline()
            except ValueError:
                # Longer than the limit: readline has let go of it.
                self.say(role.name, "(a line that is too long was left out)")
                continue
            if not line:
                return
            self.say(role.name, line.decode(errors="replace").rstrip())


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
