"""Brings the log to a directory: watches manifests, appends what differs from the log, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import structlog
from watchfiles import awatch

from engine.changes import Garbage
from engine.events import Admitted, Change, ChangeSet, Delete, Put, SyncBegin, SyncEnd
from engine.events import Refused as RefusedEvent
from engine.ref import Ref, parse_ref
from engine.seal import Sealer
from streams.codec import NewerSchema, decode_change_set, encode_change_set
from streams.ports import Log, LogError
from streams.sources.manifests import MissingDirectory, Reading, read_directory
from streams.sources.stamp import stamped
from streams.topics import Topic
from streams.view import read_table

_LOG = structlog.get_logger()
_DEBOUNCE_MS = 20
_RESCAN_MS = 5_000
_RETRY_SECONDS = 0.5
_HALF_WRITTEN_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class FilesOptions:
    """One directory as one cluster. `now` answers RFC 3339 UTC."""

    cluster: str
    directory: Path
    now: Callable[[], str]
    domain: str = "default"
    partition: int = 0


@dataclass(slots=True)
class _Logged:
    """What the log says of our cluster: objects, where each stood, refusals by location, and that we synced."""

    objects: dict[Ref, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    synced: bool = False

    def take(self, change: Change) -> None:
        """Follow one of our cluster's changes."""
        if isinstance(change, Put):
            self.objects[change.ref] = dict(change.object)
        elif isinstance(change, Delete):
            self.objects.pop(change.ref, None)
        elif isinstance(change, RefusedEvent):
            self.refused[change.location] = change.message
        elif isinstance(change, Admitted):
            self.refused.pop(change.location, None)
        elif isinstance(change, SyncEnd):
            self.synced = True


async def watch_files(log: Log, sealer: Sealer, options: FilesOptions) -> None:
    """Watch for ever. Raises MissingDirectory at the start when there is no such directory."""
    if not options.directory.is_dir():
        msg = f"{options.directory} is not a directory: name the directory that holds your manifests"
        raise MissingDirectory(msg)
    while True:
        try:
            async with log.writer(f"source-{options.domain}-{options.cluster}") as writer:
                logged = await _logged(log, options)
                origins: dict[str, set[Ref]] = {}
                async for reading in _readings(options):
                    changes = _difference(reading, logged, origins, sealer, options)
                    if not logged.synced:
                        changes = [SyncBegin(), *changes, SyncEnd()]
                    if not changes:
                        continue
                    time = options.now()
                    change_set = ChangeSet(
                        options.domain, options.cluster, "files", f"{options.cluster}-{time}", time, "files",
                        tuple(changes),
                    )  # fmt: skip
                    await writer.write(encode_change_set(change_set, options.partition))
                    for change in changes:
                        logged.take(change)
        except LogError as error:
            # Whether the last write arrived is not known: what the log says now is compared again.
            _LOG.warning("the source waits for the log", cluster=options.cluster, reason=str(error))
            await asyncio.sleep(_RETRY_SECONDS)


async def _logged(log: Log, options: FilesOptions) -> _Logged:
    """What the log says: the resolver's state, then the change sets behind it."""
    state = await read_table(log, Topic.STATE, options.partition)
    logged = _Logged()
    for name, record in state.rows.items():
        value = orjson.loads(record.value or b"null")
        kind, _, rest = name.partition("/")
        if kind == "resource" and value and (ref := parse_ref(rest)).cluster == options.cluster:
            logged.objects[ref] = value["object"]
        elif kind == "refused" and value and rest.partition("/")[0] == options.cluster:
            logged.refused[value["location"]] = value["message"]
        elif kind == "sync" and rest == options.cluster:
            logged.synced = True
    async for records in log.read(Topic.CHANGES, options.partition, state.progress + 1):
        for record in records:
            try:
                change_set = decode_change_set(record)
            except (Garbage, NewerSchema):
                continue
            if change_set.cluster == options.cluster and change_set.source == "files":
                for change in change_set.changes:
                    logged.take(change)
    return logged


async def _readings(options: FilesOptions) -> AsyncIterator[Reading]:
    """The directory as it is, then again after each change; a look every few seconds finds what no event told."""
    yield await _read(options)
    async for _ in awatch(
        options.directory,
        debounce=_DEBOUNCE_MS,
        step=5,
        rust_timeout=_RESCAN_MS,
        yield_on_timeout=True,
        recursive=True,
    ):
        yield await _read(options)


async def _read(options: FilesOptions) -> Reading:
    try:
        reading = await asyncio.to_thread(read_directory, options.directory, options.cluster)
        if reading.broken:
            # Perhaps half written: a second look, before its author is told.
            await asyncio.sleep(_HALF_WRITTEN_SECONDS)
            reading = await asyncio.to_thread(read_directory, options.directory, options.cluster)
    except MissingDirectory:
        _LOG.error("the directory is gone, what it said stays", directory=str(options.directory))
        reading = Reading(broken={""})
    for warning in reading.warnings:
        _LOG.info(warning)
    return reading


def _difference(
    reading: Reading, logged: _Logged, origins: dict[str, set[Ref]], sealer: Sealer, options: FilesOptions
) -> list[Change]:
    """What must be appended, in the order of refs. `origins` remembers which file said what, and is brought up."""
    now = options.now()
    changes: list[Change] = []
    for ref, found in sorted(reading.objects.items()):
        old = logged.objects.get(ref)
        new = stamped(ref, found.object, old, now, sealer)
        if new != old:
            changes.append(Put(ref, new))
    kept = {one.ref for one in reading.refused.values() if one.ref is not None}
    if reading.broken:
        # What a broken file said cannot be told from what is gone unless this process has read it before.
        known = {ref for name, refs in origins.items() if name not in reading.broken for ref in refs}
        kept |= {ref for ref in logged.objects if ref not in known}
    gone = logged.objects.keys() - reading.objects.keys() - kept
    changes += [Delete(ref) for ref in sorted(gone)]
    _remember(reading, origins)
    for location, refusal in sorted(reading.refused.items()):
        if logged.refused.get(location) != refusal.message:
            _LOG.error("refused", location=location, reason=refusal.message)
            changes.append(RefusedEvent(location, refusal.ref, refusal.message))
    mended = logged.refused.keys() - reading.refused.keys()
    return changes + [Admitted(location) for location in sorted(mended) if "" not in reading.broken]


def _remember(reading: Reading, origins: dict[str, set[Ref]]) -> None:
    fresh: dict[str, set[Ref]] = {}
    for ref, found in reading.objects.items():
        fresh.setdefault(found.location.rpartition(":")[0], set()).add(ref)
    for name in reading.broken & origins.keys():
        fresh[name] = origins[name]
    origins.clear()
    origins.update(fresh)
