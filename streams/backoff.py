"""The pause before another try at the log: longer and longer while it fails, short again once it went well.

It tries nothing itself. Each try opens a client of its own and asks for all metadata.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

_LONGEST_SECONDS = 4.0


@dataclass(slots=True)
class Backoff:
    """`seconds` is the first pause, each one after is twice as long, up to the `longest`: people wait for the end."""

    seconds: float = 0.5
    longest: float = _LONGEST_SECONDS
    _next: float = 0.0

    def pause(self) -> float:
        """How many seconds to wait after one more failure."""
        pause = self._next or self.seconds
        self._next = min(2 * pause, self.longest)
        return pause

    async def wait(self) -> None:
        """Wait after one more failure."""
        await asyncio.sleep(self.pause())

    def reset(self) -> None:
        """It went well."""
        self._next = 0.0
