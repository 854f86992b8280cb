"""Proxies that have nothing yet: their first answers wait until what is served is the log's end as they came.

Last known good goes before that: with the log away, or nobody who resolves what it holds, they are served at once.
One that comes back with config waits for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from streams.past import last_offset
from streams.ports import Log, LogError
from streams.xds.stream import Publication, Stream

_LOG = structlog.get_logger()
_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 10.0
"""A resolver that was killed has its successor within ten seconds."""


class Newcomers:
    """Those that wait. It asks the log once for all that came while it was asked before."""

    def __init__(self, log: Log, partition: int, publication: Publication) -> None:
        self._log = log
        self._partition = partition
        self._publication = publication
        self._new: list[Stream] = []
        self._wake = asyncio.Event()
        self._stuck_at: int | None = None
        """What was served when one had waited in vain: until that moves, nobody waits again."""

    def came(self, stream: Stream) -> None:
        """A proxy that has nothing has made its first request; it is told nothing until `run` lets it be."""
        self._new.append(stream)
        self._wake.set()

    async def run(self) -> None:
        """Let them be served, for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._wake.wait()
                self._wake.clear()
                some, self._new = self._new, []
                tasks.create_task(self._serve(some, await self._last()), name="publisher-newcomers")

    async def _last(self) -> int:
        """The last offset of the log; -1 where there is none, or nobody who says it."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await last_offset(self._log, self._partition)
        except (LogError, TimeoutError):
            return -1

    async def _serve(self, some: Sequence[Stream], last: int) -> None:
        publication = self._publication
        if publication.offset != self._stuck_at:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await publication.reached(last)
            except TimeoutError:
                self._stuck_at = publication.offset
                _LOG.warning(
                    "new proxies are served what there is, though the log is further",
                    proxies=len(some),
                    offset=publication.offset,
                    log=last,
                )
        for stream in some:
            stream.session.waits = False
            stream.wake.set()
