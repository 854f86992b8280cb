"""How every source writes into the log: fenced, from a comparison with what the log says, bracketed the first time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from engine.events import Change, ChangeSet, SyncBegin, SyncEnd
from streams.backoff import Backoff
from streams.codec import encode_change_set
from streams.ports import Fenced, Log, LogError, Outgoing, Writer
from streams.reminder import Reminder
from streams.sources.logged import Logged, Place, logged, writer_of

_LOG = structlog.get_logger()
_FENCED_SECONDS = 5.0

Group = tuple[str, Sequence[Change]]
"""An actor and what it changed."""


@dataclass(slots=True)
class Journal:
    """One stretch of writing; `logged` follows what was written. `now` answers RFC 3339 UTC."""

    place: Place
    writer: Writer
    logged: Logged
    now: Callable[[], str]
    number: int = 0

    async def append(self, groups: Iterable[Group]) -> None:
        """Write each group as a change set, all in one transaction. Raises LogError.

        As long as the cluster has not synced all of it is its first listing, empty or not: one change set.
        """
        given = list(groups)
        if not self.logged.synced:
            actor = given[0][0] if len(given) == 1 else ""
            given = [(actor, [SyncBegin(), *(one for _, changes in given for one in changes), SyncEnd()])]
        records: list[Outgoing] = []
        for actor, changes in given:
            records += encode_change_set(self._change_set(actor, changes), self.place.partition) if changes else ()
        if records:
            await self.writer.write(records)
        for _, changes in given:
            self.logged.take(changes)

    def _change_set(self, actor: str, changes: Sequence[Change]) -> ChangeSet:
        place, time = self.place, self.now()
        self.number += 1
        name = f"{place.cluster}-{time}-{self.number}"
        return ChangeSet(place.domain, place.cluster, place.source, name, time, actor, tuple(changes))


async def keep_writing(log: Log, place: Place, stretch: Callable[[Writer, Logged], Awaitable[None]]) -> None:
    """Call `stretch` with a writer and what the log says then, again after every trouble with the log, for ever."""
    reminder, backoff = Reminder(), Backoff()
    while True:
        try:
            async with log.writer(writer_of(place.domain, place.cluster)) as writer:
                known = await logged(log, place.cluster, place.partition)
                backoff.reset()
                await stretch(writer, known)
        except Fenced as error:
            _LOG.error(
                "another watcher of this cluster writes to the log: stop one of the two",
                cluster=place.cluster,
                reason=str(error),
            )
            await asyncio.sleep(_FENCED_SECONDS)
        except LogError as error:
            # Whether the last write arrived is not known: what the log says now is compared again.
            if reminder.is_due(str(error)):
                _LOG.warning("the source waits for the log", cluster=place.cluster, reason=str(error))
            await backoff.wait()
