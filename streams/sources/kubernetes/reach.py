"""Asks an API server now and then whether it answers, and says in the log when it has not for a while.

That it can be reached again is said by whoever has listed it anew. It reads no object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from engine.events import Unreachable
from streams.kubernetes.cluster import Cluster, ClusterError, Target
from streams.sources.journal import Journal

_NAMESPACES: Final = Target("", "Namespace", "namespaces", "v1")
"""What every cluster has, and every watcher may list."""
_ASKS: Final = 3
"""How often it is asked before it counts as unreachable, at least."""
_AWAY_SECONDS: Final = 2.0
"""How often it is asked at most while it does not answer."""
_LOG = structlog.get_logger()


@dataclass(slots=True)
class Reach:
    """`seconds` is how long it may be silent. `clock` answers seconds that never go back."""

    cluster: Cluster
    journal: Journal
    seconds: float
    clock: Callable[[], float]
    answered: Callable[[], None]
    """Called when it answers after it did not."""
    is_silent: bool = False
    """Whether it did not answer when it was asked last."""
    is_lost: bool = False
    """Whether what was listed of it has to be listed again: it could not be reached since."""

    async def run(self) -> None:
        """Ask for ever. Raises LogError."""
        place, logged, pause = self.journal.place, self.journal.logged, self.seconds / _ASKS
        seen, silent = self.journal.now(), self.clock()
        while True:
            began, asked = self.clock(), self.journal.now()
            if await self._is_answered(pause):
                seen = asked
                self._hears()
                await asyncio.sleep(pause)
                continue
            silent = silent if self.is_silent else began
            self.is_silent = True
            if not logged.stale and self.clock() - silent >= self.seconds:
                _LOG.warning("the cluster cannot be reached: what it said stays", cluster=place.cluster, since=seen)
                self.is_lost = True
                await self.journal.note(Unreachable(seen))
            await asyncio.sleep(min(pause, _AWAY_SECONDS))

    def _hears(self) -> None:
        was_silent, self.is_silent = self.is_silent, False
        if was_silent:
            self.answered()

    async def _is_answered(self, seconds: float) -> bool:
        """Whether it shows what it holds; that it answers that we may not look is none."""
        try:
            async with asyncio.timeout(seconds):
                await self.cluster.page(_NAMESPACES, "", 1)
        except (ClusterError, TimeoutError):
            return False
        return True
