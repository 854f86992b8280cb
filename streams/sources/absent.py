"""Clusters of the log that a run does not watch: it finds them, and forgets one when a person says so.

Never by itself: a log has other writers, and a cluster that cannot be seen from here may be watched from elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from engine.events import Admitted, Change, ChangeSet, Delete, Reachable, SyncBegin, SyncEnd
from engine.fold import RESOURCE
from engine.outputs.channels import is_lookup
from engine.ref import Ref
from streams.codec import encode_change_set
from streams.ports import Log
from streams.sources.logged import SOURCE, logged, writer_of
from streams.topics import Topic
from streams.view import read_table

_FILE: Final = "clusters.json"


def note(data: Path, clusters: Collection[str]) -> None:
    """Note in the data directory which clusters its run watches; on a full disk nothing is noted."""
    with suppress(OSError):
        (data / _FILE).write_bytes(orjson.dumps(sorted(clusters)))


def noted(data: Path) -> frozenset[str] | None:
    """The clusters that the last run watched; None when it is not known."""
    try:
        return frozenset(map(str, orjson.loads((data / _FILE).read_bytes())))
    except (OSError, ValueError, TypeError):
        return None


def described(keys: Iterable[str], configuration: str) -> frozenset[str]:
    """The clusters that Cluster objects of the configuration cluster describe, among keys of penstock.state.

    Somebody else watches these: a watcher beside one, or roles with --members, which tell by its object how it goes.
    """
    under = _described_under(configuration)
    return frozenset(key.removeprefix(under) for key in keys if configuration and key.startswith(under))


def _described_under(configuration: str) -> str:
    # Named here, not imported: who only looks after roles holds no models.
    return f"{RESOURCE}{Ref(configuration, 'penstock.dev', 'Cluster', '', '')}"


def words(cluster: str, objects: int) -> str:
    """What a person is told of a cluster that is not watched, with the remedy."""
    return (
        f"cluster {cluster} is not watched by this run: {objects} objects of it are served as the log last had them. "
        f"Start `penstock run` with {cluster}=DIR, too, or, when nobody else watches it, `penstock forget {cluster}`"
    )


async def absent(log: Log, partition: int, watched: Collection[str], configuration: str = "") -> dict[str, int]:
    """Clusters with Gateways that nobody here watches, and how many objects of each there are. Raises LogError.

    None that a Cluster object of the `configuration` cluster describes.

    What is wanted, proxies and lookups, is a small table: the state is read only for a cluster that is found there.
    """
    wanted = (await read_table(log, Topic.INFRA, partition)).rows
    proxies = (key for key in wanted if not is_lookup(key))
    found = sorted({key.partition("/")[0] for key in proxies} - set(watched))
    if found and configuration:
        there = await read_table(log, Topic.STATE, partition, under=_described_under(configuration))
        found = [one for one in found if one not in described(there.rows, configuration)]
    return {one: len((await read_table(log, Topic.STATE, partition, under=f"{RESOURCE}{one}/")).rows) for one in found}


async def forget(log: Log, partition: int, domain: str, cluster: str, signed: tuple[str, str]) -> tuple[int, int]:
    """Append that all objects of a cluster are gone; answers how many, and the offset. `signed` is time and actor.

    Written as the cluster's source, which it fences: one that still lives compares anew, and brings them back. Raises
    LogError.
    """
    time, actor = signed
    async with log.writer(writer_of(domain, cluster)) as writer:
        known = await logged(log, cluster, partition)
        changes: list[Change] = [Delete(ref) for ref in sorted({*known.objects, *known.absent})]
        changes += [Admitted(location) for location in sorted(known.refused)]
        if changes and not known.synced:
            changes = [SyncBegin(), *changes, SyncEnd()]
        # Of nothing nothing is stale. Where it is not known to be, that changes nothing.
        changes.append(Reachable())
        one = ChangeSet(domain, cluster, SOURCE, f"{cluster}-{time}-forgotten", time, actor, tuple(changes))
        offset = (await writer.write(encode_change_set(one, partition)))[-1]
    return len(known.objects), offset
