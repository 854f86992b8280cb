"""A clock that is skipped: what waits for minutes is tested in no time, and to the millisecond."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class Skipping(asyncio.SelectorEventLoop):
    """A loop whose clock stands still, and jumps to what is due next once nothing is left to be done."""

    def __init__(self) -> None:
        self.skipped = 0.0
        super().__init__(_Impatient(self))

    def time(self) -> float:
        return self.skipped

    monotonic = time
    """So that it can stand for the module `time`."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # noqa: ARG002
        """At once: the clock must not jump while a thread works."""
        done = self.create_future()
        done.set_result(func(*args))
        return done


class _Impatient(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    def __init__(self, loop: Skipping) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        found = super().select(0)
        if not found:
            self._loop.skipped += max(timeout, 0)
        return found
