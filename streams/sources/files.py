"""Brings the log to a directory: watches manifests, appends what differs from the log, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from watchfiles import awatch

from engine.document import Document, document
from engine.events import Admitted, Change, Delete, Put
from engine.events import Refused as RefusedEvent
from engine.models.admission import Refusal, admit
from engine.observed import is_configuration
from engine.ref import Ref
from engine.seal import Sealer
from streams import collector
from streams.data_directory import inside
from streams.ports import Log
from streams.sources.content import shown
from streams.sources.directory import Directory
from streams.sources.discovery import Discovery
from streams.sources.journal import Journal, keep_writing, together
from streams.sources.logged import SOURCE, Logged, Place
from streams.sources.manifests import Found, MissingDirectory, missing
from streams.sources.stamp import stamped
from streams.sources.writing import PATIENCE_SECONDS, Writers
from streams.telemetry import Telemetry

_LOG = structlog.get_logger()
_DEBOUNCE_MS = 20
# How often it is looked whether events came, and whether more come. Measured: an event is heard after 4 ms instead of
# 8 with 5, and waiting costs 15 ms of CPU a second instead of 10.
_STEP_MS = 2
_IDLE_MS = 1_000
_RESCAN_SECONDS = 5.0
_FILLING_SECONDS = 1.0
_LINKS_SECONDS = 1.0
"""How often it is looked where links lead: that costs one stat a link."""
_SECOND_LOOK_SECONDS = 0.15
_UNFINISHED_SECONDS = 0.02
"""How often it is looked whether a file that was being written is whole: 3 us each, and no event tells of it."""
_NAMED_FILES = 3


@dataclass(frozen=True, slots=True)
class FilesOptions:
    """One directory as one cluster, `allow_empty` as a `Directory` takes it. `now` answers RFC 3339 UTC."""

    cluster: str
    directory: Path
    now: Callable[[], str]
    domain: str = "default"
    partition: int = 0
    allow_empty: bool = False
    discovery: Discovery | None = None
    telemetry: Telemetry = field(default_factory=Telemetry)


async def watch_files(log: Log, sealer: Sealer, options: FilesOptions) -> None:
    """Watch for ever. Raises MissingDirectory at the start when there is no such directory for manifests.

    Raises Superseded when another watcher of the cluster took over.
    """
    if not options.directory.is_dir():
        raise MissingDirectory(missing(options.directory))
    if (words := inside(options.directory)) is not None:
        raise MissingDirectory(words)
    writers = Writers(time.monotonic)
    directory = Directory(options.directory, options.cluster, allow_empty=options.allow_empty, writers=writers)
    place = Place(SOURCE, options.cluster, options.domain, options.partition, shown(options.directory))

    async def stretch(journal: Journal) -> None:
        source = _Source(directory, journal, sealer)
        beside = (options.discovery.run(journal),) if options.discovery is not None else ()
        await together(source.run(), *beside)

    await keep_writing(log, place, options.now, stretch, options.telemetry)


@dataclass(slots=True)
class _Source:
    """One stretch of writing, from a comparison with the log to the next loss of the broker."""

    directory: Directory
    journal: Journal
    sealer: Sealer
    told: set[str] = field(default_factory=set)

    @property
    def logged(self) -> Logged:
        """What the log says."""
        return self.journal.logged

    async def run(self) -> None:
        """Compare everything, then what changes. Raises LogError."""
        await asyncio.to_thread(self.directory.look)
        self.directory.compare(self._written())
        await self._append(self.directory.refs() | self._written())
        self.journal.waits = ""
        self.directory.held &= self._written()
        collector.trim()
        async for paths in _events(self.directory):
            partial = self.directory.is_partial
            touched = await asyncio.to_thread(self.directory.look, paths)
            if self._is_doubtful(touched):
                # Perhaps half written, or between two steps of a move: a second look, before anybody is told.
                await asyncio.sleep(_SECOND_LOOK_SECONDS)
                touched |= await asyncio.to_thread(self.directory.look)
            if partial and not self.directory.is_partial:
                touched |= self._written()
            await self._append(touched | self.directory.held)

    def _written(self) -> set[Ref]:
        """What the log says that manifests say: what was found out of issuers is none of theirs."""
        return {ref for ref in self.logged.objects if not is_configuration(ref)}

    def _is_doubtful(self, touched: set[Ref]) -> bool:
        lost = any(ref in self.logged.objects and self.directory.object(ref) is None for ref in touched)
        return lost or self.directory.is_doubtful

    async def _append(self, touched: set[Ref]) -> None:
        self._warn()
        changes = [*self._objects(touched), *self._refusals()]
        if changes or not self.logged.synced:
            await self.journal.append([(self._actor(changes), changes)])

    def _objects(self, touched: set[Ref]) -> list[Change]:
        """What must be appended of these objects, in their order."""
        now = self.journal.now()
        changes: list[Change] = []
        for ref in sorted(touched):
            old = self.logged.objects.get(ref)
            found = self.directory.object(ref) or self._never_right(ref, old)
            if found is not None:
                new = document(stamped(ref, found.object, old, now, self.sealer))
                if new != old:
                    changes.append(Put(ref, new))
            elif old is not None and not self.directory.keeps(ref):
                changes.append(Delete(ref))
        return changes

    def _never_right(self, ref: Ref, old: Document | None) -> Found | None:
        """What is refused and guards something: told as it is written, unless the log has a revision that was right.

        Only so the engine knows what to close.
        """
        found = self.directory.written(ref)
        return found if old is None or found is None or isinstance(admit(ref, old), Refusal) else None

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
        refs = [one.ref for one in changes if isinstance(one, Put)]
        found = [self.directory.object(ref) or self.directory.written(ref) for ref in refs]
        names = sorted({one.name for one in found if one is not None})
        more = f" and {len(names) - _NAMED_FILES} more" if len(names) > _NAMED_FILES else ""
        return ", ".join(names[:_NAMED_FILES]) + more

    def _warn(self) -> None:
        texts = {f"{one.name}:{one.line}: {one.message}" for one in self.directory.unread()}
        late = (
            f"has been open for writing for {PATIENCE_SECONDS:g} s and is read as it is now: close it, or rename it in"
        )
        texts |= {f"{shown(name)}: {late}" for name in self.directory.late()}
        for text in sorted(texts - self.told):
            _LOG.warning(text)
        self.told = texts


async def _events(directory: Directory) -> AsyncIterator[Iterable[str] | None]:
    """Paths that changed; None asks for a look at everything, every few seconds whatever happens.

    Nothing tells of what lies elsewhere and is linked to: that is looked for.
    """
    clock = asyncio.get_running_loop().time
    while True:
        identity = directory.identity()
        if identity is None:
            # Gone: wait until it is back, for it may be replaced as a whole.
            yield None
            await asyncio.sleep(_IDLE_MS / 1000)
            continue
        yield None
        everything = links = clock()
        try:
            async for paths in _heard(directory):
                if directory.identity() != identity:
                    break
                if clock() - links >= _LINKS_SECONDS:
                    paths.update(await asyncio.to_thread(directory.moved))
                    links = clock()
                if paths:
                    yield paths
                if clock() - everything >= (_FILLING_SECONDS if directory.is_filling else _RESCAN_SECONDS):
                    yield None
                    everything = clock()
        except (OSError, RuntimeError, ExceptionGroup) as error:
            # The library tells of a name that is no text so, in a group.
            _LOG.warning("the directory cannot be watched now", directory=str(directory.root), reason=_first(error))
            await asyncio.sleep(_IDLE_MS / 1000)


async def _heard(directory: Directory) -> AsyncIterator[set[str]]:
    """Paths of which events came, and of files that are being written; nothing every second, whatever happens."""
    watch = awatch(
        directory.root,
        watch_filter=None,
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        rust_timeout=_IDLE_MS,
        yield_on_timeout=True,
        recursive=True,
    )
    waiting = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(watch))
            unfinished = directory.unfinished()
            await asyncio.wait({waiting}, timeout=_UNFINISHED_SECONDS if unfinished else None)
            paths = set(unfinished)
            if waiting.done():
                heard, waiting = waiting, None
                paths |= {path for _, path in heard.result()}
            yield paths
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait({waiting})
        await watch.aclose()


def _first(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error)
