"""What counts of what says to be of a cluster: as the resolver said of it, or is going to say; it writes nothing.

A forged record that a source took for its own would keep it from saying the same, and then nobody would have said it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

import orjson

from engine.changes import Garbage
from engine.document import document
from engine.events import Change, ChangeSet, Delete, Put
from engine.fold import PART, RESOURCE, SIGNED, Fold
from engine.judgement import generation_of, judged
from engine.models.cluster import GROUP
from engine.parts import misplaced, whole
from engine.ref import Ref
from engine.resolve.cluster import KIND
from engine.resolve.settings import EngineSettings
from engine.signers import Signers
from streams.codec import NewerSchema, decode_change_set
from streams.ports import Log
from streams.rejected import rejected_offsets
from streams.signing import Signer
from streams.topics import Topic
from streams.view import Table

_MODELS: Final = ""
"""Of no version: what the models of this one say of a Cluster object is asked anew."""


async def counted(
    log: Log, cluster: str, partition: int, state: Table, start: int
) -> AsyncIterator[tuple[int, ChangeSet]]:
    """What counts of what says to be of a cluster, from an offset on, whichever source said it; and where it stands.

    `state` is penstock.state. What stands behind that comes with the changes that take effect there: those of a change
    set in parts with the last of them. Raises Unavailable.
    """
    registry = _registry(log, cluster, state)
    rejected = await rejected_offsets(log, partition) if start <= state.progress else frozenset()
    async for records in log.read(Topic.CHANGES, partition, min(start, state.progress + 1)):
        for record in records:
            try:
                said = decode_change_set(record)
            except (Garbage, NewerSchema):
                continue
            # Behind the state each in turn, those too that are not asked for: a registry follows the log.
            counts: ChangeSet | None = said
            if record.offset > state.progress:
                counts = registry.take(said)
            elif record.offset in rejected:
                continue
            if counts is not None and said.cluster == cluster and record.offset >= start:
                yield record.offset, counts


class _Registry(Protocol):
    """Who may sign for our cluster; follows the log behind the state."""

    def take(self, said: ChangeSet) -> ChangeSet | None:
        """It with the changes that take effect by it; None where the resolver is going to refuse it."""


def _registry(log: Log, cluster: str, state: Table) -> _Registry:
    trust = log.trust
    under = [f"{SIGNED}cluster/{cluster}/", f"{PART}{cluster}~"]
    if trust is not None and (first := trust.configuration_cluster):
        under += [f"{SIGNED}cluster/{first}/", f"{PART}{first}~", f"{RESOURCE}{Ref(first, GROUP, KIND, '', '')}"]
    prefixes = tuple(under)
    found = {name: orjson.loads(row.value or b"null") for name, row in state.rows.items() if name.startswith(prefixes)}
    rows = {name: row for name, row in found.items() if row}
    if trust is None:
        return _Own(log.signer, cluster, rows)
    return _Trusted(trust, log.signer, cluster, rows)


class _Trusted:
    """By the keys that the settings trust, and those that Cluster objects name: as the resolver does it."""

    def __init__(self, trust: EngineSettings, signer: Signer | None, cluster: str, rows: Mapping[str, Any]) -> None:
        self._fold = Fold()
        self._fold.load(rows.items())
        self._signers = Signers(self._fold, trust, _MODELS)
        self._cluster, self._first = cluster, trust.configuration_cluster
        self._own = _OwnSequence(signer, cluster, rows)

    def take(self, said: ChangeSet) -> ChangeSet | None:
        """See `_Registry`."""
        if said.cluster not in {self._cluster, self._first} or self._signers.refusal(said):
            return None
        if misplaced(self._fold, said, self._signers.signer(said)):
            return None
        complete = _completed(self._fold, said, self._signers.note(said))
        if said.cluster == self._first:
            self._follow(complete.changes)
        self._own.take(said)
        return complete

    def _follow(self, changes: Iterable[Change]) -> None:
        """Cluster objects: from where they stand in the log on their keys are registered, and no others."""
        for change in changes:
            if not isinstance(change, Put | Delete) or change.ref != self._object(change.ref.name):
                continue
            key = f"{RESOURCE}{change.ref}"
            if isinstance(change, Delete):
                self._fold.remove(key)
            else:
                self._fold.set(key, _row(change, self._fold.rows.get(key)))

    def _object(self, name: str) -> Ref:
        return Ref(self._first, GROUP, KIND, "", name)


def _completed(fold: Fold, said: ChangeSet, signer: str | None) -> ChangeSet:
    return whole(fold, said, signer) or replace(said, changes=())


def _row(change: Put, before: dict[str, Any] | None) -> dict[str, Any]:
    """As the fold has it, with the last revision that its model took."""
    row = judged(change.ref, {"object": document(change.object)}, _MODELS)
    if before is None:
        return {**row, "previous": None}
    old = judged(change.ref, before, _MODELS)
    is_same = generation_of(old["object"]) == generation_of(change.object)
    return {**row, "previous": old.get("previous") if is_same or old["refusal"] else old["object"]}


class _Own:
    """Where it is not known which keys are trusted: once our own key counts, nothing that it did not sign does."""

    def __init__(self, signer: Signer | None, cluster: str, rows: Mapping[str, Any]) -> None:
        self._own = _OwnSequence(signer, cluster, rows)
        self._cluster = cluster
        self._fold = Fold()
        self._fold.load(rows.items())

    def take(self, said: ChangeSet) -> ChangeSet | None:
        """See `_Registry`."""
        if said.cluster != self._cluster or not (self._own.last is None or self._own.take(said)):
            return None
        return None if misplaced(self._fold, said, None) else _completed(self._fold, said, None)


class _OwnSequence:
    """Follows what our own key signed for our cluster: what it signs next comes after that."""

    def __init__(self, signer: Signer | None, cluster: str, rows: Mapping[str, Any]) -> None:
        """`rows` are those of the state with the last sequences of the cluster's signers, among others."""
        self._signer, self._cluster = signer, cluster
        self._key = signer.public if signer is not None else ""
        row = rows.get(f"{SIGNED}cluster/{cluster}/{self._key}")
        self.last: int | None = row["sequence"] if row is not None else None
        """None while nothing that it signed has counted."""
        if signer is not None and self.last is not None:
            signer.after(self.last)

    def take(self, said: ChangeSet) -> bool:
        """Whether it was signed by us, and is no copy."""
        one = said.signature
        if self._signer is None or said.cluster != self._cluster or one is None or one.key != self._key:
            return False
        if one.sequence <= (-1 if self.last is None else self.last) or not one.is_good():
            return False
        self.last = one.sequence
        self._signer.after(one.sequence)
        return True
