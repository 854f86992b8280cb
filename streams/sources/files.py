"""Brings the log to a directory: watches manifests, appends what differs from the log, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from watchfiles import awatch

from engine.document import document
from engine.events import Admitted, Change, ChangeSet, Delete, Put, SyncBegin, SyncEnd
from engine.events import Refused as RefusedEvent
from engine.ref import Ref
from engine.seal import Sealer
from streams import collector
from streams.backoff import Backoff
from streams.codec import encode_change_set
from streams.ports import Fenced, Log, LogError, Writer
from streams.reminder import Reminder
from streams.sources.directory import Directory
from streams.sources.logged import SOURCE, Logged, logged, writer_of
from streams.sources.manifests import MissingDirectory, missing
from streams.sources.stamp import stamped

_LOG = structlog.get_logger()
_DEBOUNCE_MS = 20
# How often it is looked whether events came, and whether more come. Measured: an event is heard after 4 ms instead of
# 8 with 5, and waiting costs 15 ms of CPU a second instead of 10.
_STEP_MS = 2
_IDLE_MS = 1_000
_RESCAN_LOOKS = 5
_FENCED_SECONDS = 5.0
_SECOND_LOOK_SECONDS = 0.15
_NAMED_FILES = 3


@dataclass(frozen=True, slots=True)
class FilesOptions:
    """One directory as one cluster. `now` answers RFC 3339 UTC."""

    cluster: str
    directory: Path
    now: Callable[[], str]
    domain: str = "default"
    partition: int = 0


async def watch_files(log: Log, sealer: Sealer, options: FilesOptions) -> None:
    """Watch for ever. Raises MissingDirectory at the start when there is no such directory."""
    if not options.directory.is_dir():
        raise MissingDirectory(missing(options.directory))
    directory = Directory(options.directory, options.cluster)
    reminder, backoff = Reminder(), Backoff()
    while True:
        try:
            async with log.writer(writer_of(options.domain, options.cluster)) as writer:
                known = await logged(log, options.cluster, options.partition)
                source = _Source(options, sealer, directory, writer, known)
                backoff.reset()
                await source.run()
        except Fenced as error:
            _LOG.error(
                "another watcher of this cluster writes to the log: stop one of the two",
                cluster=options.cluster,
                reason=str(error),
            )
            await asyncio.sleep(_FENCED_SECONDS)
        except LogError as error:
            # Whether the last write arrived is not known: what the log says now is compared again.
            if reminder.is_due(str(error)):
                _LOG.warning("the source waits for the log", cluster=options.cluster, reason=str(error))
            await backoff.wait()


@dataclass(slots=True)
class _Source:
    """One stretch of writing, from a comparison with the log to the next loss of the broker."""

    options: FilesOptions
    sealer: Sealer
    directory: Directory
    writer: Writer
    logged: Logged
    told: set[str] = field(default_factory=set)
    number: int = 0

    async def run(self) -> None:
        """Compare everything, then what changes. Raises LogError."""
        await asyncio.to_thread(self.directory.look)
        self.directory.compare(self.logged.objects.keys())
        await self._append(self.directory.refs() | self.logged.objects.keys())
        self.directory.held &= self.logged.objects.keys()
        collector.trim()
        async for paths in _events(self.directory):
            partial = self.directory.is_partial
            touched = await asyncio.to_thread(self.directory.look, paths)
            if self._is_doubtful(touched):
                # Perhaps half written, or between two steps of a move: a second look, before anybody is told.
                await asyncio.sleep(_SECOND_LOOK_SECONDS)
                touched |= await asyncio.to_thread(self.directory.look)
            if partial and not self.directory.is_partial:
                touched |= self.logged.objects.keys()
            await self._append(touched | self.directory.held)

    def _is_doubtful(self, touched: set[Ref]) -> bool:
        lost = any(ref in self.logged.objects and self.directory.object(ref) is None for ref in touched)
        return lost or self.directory.is_doubtful

    async def _append(self, touched: set[Ref]) -> None:
        self._warn()
        changes = [*self._objects(touched), *self._refusals()]
        if not self.logged.synced:
            changes = [SyncBegin(), *changes, SyncEnd()]
        if not changes:
            return
        options = self.options
        time = options.now()
        self.number += 1
        change_set = ChangeSet(
            options.domain,
            options.cluster,
            SOURCE,
            f"{options.cluster}-{time}-{self.number}",
            time,
            self._actor(changes),
            tuple(changes),
        )
        await self.writer.write(encode_change_set(change_set, options.partition))
        self.logged.take(changes)

    def _objects(self, touched: set[Ref]) -> list[Change]:
        """What must be appended of these objects, in their order."""
        now = self.options.now()
        changes: list[Change] = []
        for ref in sorted(touched):
            found, old = self.directory.object(ref), self.logged.objects.get(ref)
            if found is not None:
                new = document(stamped(ref, found.object, old, now, self.sealer))
                if new != old:
                    changes.append(Put(ref, new))
            elif old is not None and not self.directory.keeps(ref):
                changes.append(Delete(ref))
        return changes

    def _refusals(self) -> list[Change]:
        changes: list[Change] = []
        refusals = {one.location: one for one in self.directory.refusals()}
        for location, one in sorted(refusals.items()):
            if self.logged.refused.get(location) != one.message:
                _LOG.error("refused", location=location, reason=one.message)
                changes.append(RefusedEvent(location, one.ref, one.message))
        return changes + [Admitted(location) for location in sorted(self.logged.refused.keys() - refusals.keys())]

    def _actor(self, changes: Iterable[Change]) -> str:
        """The files that were changed, as far as they are few."""
        found = [self.directory.object(one.ref) for one in changes if isinstance(one, Put)]
        names = sorted({one.name for one in found if one is not None})
        more = f" and {len(names) - _NAMED_FILES} more" if len(names) > _NAMED_FILES else ""
        return ", ".join(names[:_NAMED_FILES]) + more

    def _warn(self) -> None:
        texts = {f"{one.name}:{one.line}: {one.message}" for one in self.directory.unread()}
        for text in sorted(texts - self.told):
            _LOG.warning(text)
        self.told = texts


async def _events(directory: Directory) -> AsyncIterator[Iterable[str] | None]:
    """Paths that changed; None asks for a look at everything, every few seconds: links tell no event."""
    while True:
        identity = directory.identity()
        if identity is None:
            # Gone: wait until it is back, for it may be replaced as a whole.
            yield None
            await asyncio.sleep(_IDLE_MS / 1000)
            continue
        yield None
        idle = 0
        try:
            async for events in awatch(
                directory.root,
                watch_filter=None,
                debounce=_DEBOUNCE_MS,
                step=_STEP_MS,
                rust_timeout=_IDLE_MS,
                yield_on_timeout=True,
                recursive=True,
            ):
                if directory.identity() != identity:
                    break
                idle = 0 if events else idle + 1
                if events:
                    yield {path for _, path in events}
                elif idle % _RESCAN_LOOKS == 0:
                    yield None
        except (OSError, RuntimeError, ExceptionGroup) as error:
            # The library tells of a name that is no text so, in a group.
            _LOG.warning("the directory cannot be watched now", directory=str(directory.root), reason=_first(error))
            await asyncio.sleep(_IDLE_MS / 1000)


def _first(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error)
