"""What the log says of one cluster, as its source has to know it to append what differs; it appends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from engine.changes import Garbage, from_json
from engine.document import Document, document
from engine.events import Admitted, Change, ChangeSet, Delete, Put, Reachable, Refused, SyncEnd, Unreachable
from engine.fold import PART, PENDING, SIGNED, STALE
from engine.ref import Ref, parse_ref
from streams.codec import NewerSchema, decode_change_set
from streams.continuity import refuse
from streams.ports import Log
from streams.signing import Signer
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
    signed = {name: row for name, row in state.rows.items() if name.startswith(f"{SIGNED}cluster/{cluster}/")}
    ours = _Ours(log.signer, {name: orjson.loads(row.value or b"null") for name, row in signed.items()})
    found.take(_waiting({name: row.value or b"null" for name, row in state.rows.items()}, cluster))
    async for records in log.read(Topic.CHANGES, partition, state.progress + 1):
        for record in records:
            try:
                change_set = decode_change_set(record)
            except (Garbage, NewerSchema):
                continue
            # Whichever source said it: a cluster of manifests may become one of Kubernetes.
            if change_set.cluster == cluster and ours.counts(change_set):
                found.take(change_set.changes)
    return found


class _Ours:
    """Tells what the resolver is going to refuse of what says to be of our cluster; nothing where nobody signs.

    Taken for ours it would keep us from saying the same, and then nobody would have said it.
    """

    def __init__(self, signer: Signer | None, rows: Mapping[str, Any]) -> None:
        """`rows` are those of the state with the last sequences of the cluster's signers."""
        self._key, self._last = "", -1
        found = {name.split("/", 3)[3]: row["sequence"] for name, row in rows.items() if row}
        if signer is not None and signer.public in found:
            self._key, self._last = signer.public, found[signer.public]
            signer.after(self._last)
        self._signer = signer

    def counts(self, change_set: ChangeSet) -> bool:
        """Whether it is taken, one after the other."""
        signature = change_set.signature
        if self._signer is None or not self._key:
            return True
        if signature is None or signature.key != self._key or signature.sequence <= self._last:
            return False
        if not signature.is_good():
            return False
        self._last = signature.sequence
        self._signer.after(self._last)
        return True


def _waiting(rows: Mapping[str, bytes], cluster: str) -> Iterator[Change]:
    """What our cluster said that has not taken effect yet: until its first listing ends, or parts of it come.

    Said once more it would get another creationTimestamp.
    """
    for name in sorted(rows, key=lambda one: (not one.startswith(PENDING), one)):
        if name.startswith(f"{PENDING}{cluster}/"):
            yield from_json(orjson.loads(rows[name])["change"])
        elif name.startswith(f"{PART}{cluster}~"):
            yield from map(from_json, orjson.loads(rows[name])["changes"])
