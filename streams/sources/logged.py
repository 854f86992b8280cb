"""What the log says of one cluster, as its source has to know it to append what differs; it appends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from engine.changes import from_json
from engine.document import Document, document
from engine.events import WATCHERS, Admitted, Change, Delete, Put, Reachable, Refused, SyncEnd, Unreachable
from engine.fold import PENDING, STALE
from engine.ref import Ref, parse_ref
from streams.continuity import refuse
from streams.ports import Log
from streams.topics import Topic
from streams.view import read_table

SOURCE = "files"


def writer_of(domain: str, cluster: str) -> str:
    """The transactional id of a cluster's one writer: who takes it fences the one before."""
    return f"source-{domain}-{cluster}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source writes: one `source` of one cluster. `source` is the word that its change sets carry."""

    source: str
    cluster: str
    domain: str = "default"
    partition: int = 0
    shown: str = ""
    """What is watched, as people call it."""


@dataclass(slots=True)
class Logged:
    """What the log says of our cluster: objects, refusals by location, and that we synced."""

    objects: dict[Ref, Document] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    absent: set[Ref] = field(default_factory=set)
    """Objects on request that are known not to be there."""
    synced: bool = False
    stale: str = ""
    """Since when it could not be reached; "" while it can."""
    end: int = 0
    """The offset up to which that is known."""
    believed: list[int] = field(default_factory=list)
    """Offsets behind the resolver's state of what watchers said: it may still reject what was taken for said here."""

    def take(self, changes: Iterable[Change]) -> None:
        """Follow our cluster's changes."""
        for change in changes:
            if isinstance(change, Put):
                self.objects[change.ref] = document(change.object)
                self.absent.discard(change.ref)
            elif isinstance(change, Delete):
                self.objects.pop(change.ref, None)
                (self.absent.add if change.was_read else self.absent.discard)(change.ref)
            elif isinstance(change, Refused):
                self.refused[change.location] = change.message
            elif isinstance(change, Admitted):
                self.refused.pop(change.location, None)
            elif isinstance(change, SyncEnd):
                self.synced = True
            elif isinstance(change, Unreachable):
                self.stale = self.stale or change.since
            elif isinstance(change, Reachable):
                self.stale = ""


async def logged(log: Log, cluster: str, partition: int) -> Logged:
    """What the log says: the resolver's state, then the change sets behind it.

    Raises LogBehind when the log ends before that state: what is appended there would take offsets that are taken.
    """
    from streams.sources.registry import counted  # noqa: PLC0415  it brings the models, which who only asks lacks

    state = await read_table(log, Topic.STATE, partition)
    _, end = await log.ends(Topic.CHANGES, partition)
    refuse(state.progress, end)
    found = Logged(end=end)
    for name, record in state.rows.items():
        value = orjson.loads(record.value or b"null")
        kind, _, rest = name.partition("/")
        if kind == "resource" and value and (ref := parse_ref(rest)).cluster == cluster:
            found.objects[ref] = document(value["object"])
        elif kind == "absent" and value and (ref := parse_ref(rest)).cluster == cluster:
            found.absent.add(ref)
        elif kind == "refused" and value and rest.partition("/")[0] == cluster:
            found.refused[value["location"]] = value["message"]
        elif kind == "sync" and rest == cluster:
            found.synced = value is not None and value.get("state") == "done"
    found.stale = orjson.loads(stale.value or b"{}")["since"] if (stale := state.rows.get(STALE + cluster)) else ""
    found.take(_waiting({name: row.value or b"null" for name, row in state.rows.items()}, cluster))
    # Whichever source said it: a cluster of manifests may become one of Kubernetes.
    async for offset, said in counted(log, cluster, partition, state, state.progress + 1):
        found.take(said.changes)
        if said.source in WATCHERS:
            found.believed.append(offset)
    return found


def _waiting(rows: Mapping[str, bytes], cluster: str) -> Iterator[Change]:
    """What our cluster said that has not taken effect yet, until its first listing ends.

    Said once more it would get another creationTimestamp. Parts count with the last of them: see `counted`.
    """
    for name in sorted(rows):
        if name.startswith(f"{PENDING}{cluster}/"):
            yield from_json(orjson.loads(rows[name])["change"])
