"""Runs an exec plugin, with all that it starts, and takes what it writes; it knows nothing of credentials.

A plugin is a stranger's program: it may start others, write without end, and print what it was to keep for itself.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

import structlog

_LOG = structlog.get_logger()
_SECONDS: Final = 60.0
_ANSWER_BYTES: Final = 1 << 20
_WORDS_BYTES: Final = 64 << 10
_WORDS: Final = 300
_READ_BYTES: Final = 64 << 10
_SECRET: Final = re.compile(
    # What follows a word for a secret, to the end of its line; and what is too long to be a word.
    r"(?i)(?:bearer|basic|authorization|token|secret|passw|pwd|credential|cookie|key).*|[\w+/=.~%-]{32,}"
)


class PluginError(Exception):
    """A plugin gave no answer; the message has none of the plugin's words: many may read it."""


class _Pipe:
    """What is written into it, as far as it was read, and at most so many bytes. Made by `_piped`."""

    def __init__(self, most: int) -> None:
        self.data = bytearray()
        self.is_full = asyncio.Event()
        self._most = most
        self.reads, self.writes = os.pipe()
        os.set_blocking(self.reads, False)

    def read(self) -> bool:
        """Read what is there; whether there may be more that counts. What is too much is read for nothing."""
        try:
            found = os.read(self.reads, _READ_BYTES)
        except BlockingIOError:
            return False
        if not found:
            asyncio.get_running_loop().remove_reader(self.reads)
        self.data += found[: self._most - len(self.data)]
        if len(self.data) == self._most:
            self.is_full.set()
        return bool(found) and not self.is_full.is_set()

    def shut(self) -> None:
        """Nothing more is written here."""
        if self.writes >= 0:
            os.close(self.writes)
            self.writes = -1


@contextmanager
def _piped(most: int) -> Iterator[_Pipe]:
    """Read what comes, and at the end what is there: not for what another process may write yet is waited."""
    pipe, loop = _Pipe(most), asyncio.get_running_loop()
    loop.add_reader(pipe.reads, pipe.read)
    try:
        yield pipe
        while pipe.read():
            pass
    finally:
        loop.remove_reader(pipe.reads)
        os.close(pipe.reads)
        pipe.shut()


async def run(words: list[str], environment: Mapping[str, str], *, may_ask: bool) -> bytes:
    """What a command writes until it ends. Raises PluginError. One that may ask somebody is given all the time."""
    with _piped(_ANSWER_BYTES) as output, _piped(_WORDS_BYTES) as said:
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                env=environment,
                stdin=None if may_ask else asyncio.subprocess.DEVNULL,
                stdout=output.writes,
                stderr=said.writes,
                # Who asks needs the terminal.
                start_new_session=not may_ask,
            )
        except (OSError, ValueError) as error:
            msg = f"the exec plugin {words[0]} cannot be started: {error}"
            raise PluginError(msg) from None
        finally:
            output.shut()
            said.shut()
        try:
            await _ended(process, output, words[0], may_ask=may_ask)
        finally:
            await _end(process, is_alone=not may_ask)
    if process.returncode:
        lines = redacted(said.data.decode(errors="replace"))
        _LOG.warning("an exec plugin failed", command=words[0], code=process.returncode, stderr=lines[-_WORDS:])
        msg = f"the exec plugin {words[0]} ended with {process.returncode}: the log of this process has what it said"
        raise PluginError(msg)
    if output.is_full.is_set():
        raise _too_much(words[0])
    return bytes(output.data)


async def _ended(process: Process, output: _Pipe, command: str, *, may_ask: bool) -> None:
    waits = [asyncio.create_task(process.wait()), asyncio.create_task(output.is_full.wait())]
    timeout = None if may_ask else _SECONDS
    try:
        done, _ = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
    if not done:
        msg = f"the exec plugin {command} has not answered for {timeout:.0f} s"
        raise PluginError(msg)
    if output.is_full.is_set():
        raise _too_much(command)


async def _end(process: Process, *, is_alone: bool) -> None:
    """End one that goes on, with all that it began."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            if is_alone:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        await process.wait()


def redacted(text: str) -> str:
    """One line of what was said, without what may be a secret."""
    lines = (_SECRET.sub("[withheld]", one.replace("\t", " ")) for one in text.splitlines())
    return " ".join("".join(char if char.isprintable() else " " for char in one) for one in lines).strip()


def _too_much(command: str) -> PluginError:
    return PluginError(f"the exec plugin {command} writes more than {_ANSWER_BYTES >> 10} KiB")
