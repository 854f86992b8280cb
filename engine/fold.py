"""The fold state: everything that is not derived, and what a change set changes in it. It derives nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, NamedTuple

from engine.document import document
from engine.ref import Ref, parse_ref
from engine.table import Trunk
from engine.update import Delta

RESOURCE = "resource/"
REFUSED = "refused/"
QUARANTINE = "quarantine/"
SYNC = "sync/"
PART = "part/"
PENDING = "pending/"
"""What a cluster said since its first listing began: in force at its end."""
ABSENT = "absent/"
"""Objects on request that were looked for, and are not there."""
ASKED = "asked/"
"""Clusters whose source reads objects of some kinds on request only."""
PIN = "pin/"
OVERRIDE = "override/"
"""Objects as a pin serves them, by its id: a layer of their own, that no source compares the world with."""
SIGNED = "signed/"
"""The last sequence of each signer, by what it signs for."""
STALE = "stale/"
"""Clusters that cannot be reached, and since when."""
CHANGED = "changed/"
CLOCK = "clock"
ENGINE = "engine"

Json = dict[str, Any]


class Said(NamedTuple):
    """Who says a change, and when: see `ChangeSet`. `offset` is where it stands."""

    cluster: str
    source: str
    time: str
    actor: str
    offset: int


class Fold:
    """Rows by key, with a note of what was touched since the last `delta`."""

    def __init__(self) -> None:
        self.rows: MutableMapping[str, Json] = {}
        self._rooms: defaultdict[str, MutableMapping[str, Json]] = defaultdict(dict)
        """The rows by the first word of their keys: who looks through one room pays for no other."""
        self._before: dict[str, Json | None] = {}

    def fork(self, trunk: Trunk) -> Fold:
        """A state that begins as this one; nothing of it was touched yet."""
        fork = Fold()
        fork.rows = trunk.over(self.rows)
        for room, rows in self._rooms.items():
            fork._rooms[room] = trunk.over(rows)
        return fork

    def load(self, rows: Iterable[tuple[str, Json]]) -> None:
        """Replace everything."""
        self.rows = {key: _kept(key, row) for key, row in rows}
        self._rooms.clear()
        for key, row in self.rows.items():
            self._rooms[_room(key)][key] = row
        self._before = {}

    def set(self, key: str, value: Json) -> None:
        """Set a row."""
        self._before.setdefault(key, self.rows.get(key))
        self.rows[key] = value
        self._rooms[_room(key)][key] = value

    def remove(self, key: str) -> None:
        """Remove a row, if it is there."""
        if key in self.rows:
            self._before.setdefault(key, self.rows[key])
            del self.rows[key]
            del self._rooms[_room(key)][key]

    def delta(self) -> Delta:
        """What differs since the last call."""
        before, self._before = self._before, {}
        changed = {key: self.rows[key] for key in sorted(before) if key in self.rows and self.rows[key] != before[key]}
        removed = frozenset(key for key, old in before.items() if old is not None and key not in self.rows)
        return Delta(changed, removed)

    def under(self, prefix: str) -> list[tuple[str, Json]]:
        """Rows of a prefix, which has the first word whole, sorted."""
        return sorted((key, row) for key, row in self._rooms[_room(prefix)].items() if key.startswith(prefix))

    def resources(self) -> Iterator[tuple[Ref, Json]]:
        """All resources."""
        for key, row in self._rooms[_room(RESOURCE)].items():
            yield parse_ref(key.removeprefix(RESOURCE)), row

    def is_syncing(self, cluster: str) -> bool:
        """Whether the cluster's first listing has begun and not ended."""
        return self.rows.get(SYNC + cluster, {}).get("state") == "begun"


def stale_clusters(keys: Iterable[str]) -> frozenset[str]:
    """The clusters that cannot be reached, of rows of the fold state."""
    return frozenset(key.removeprefix(STALE) for key in keys if key.startswith(STALE))


def _room(key: str) -> str:
    return key.partition("/")[0]


def _kept(key: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row of the fold state as it is held in memory."""
    if not key.startswith((RESOURCE, OVERRIDE)) or row["object"] is None:
        return row
    previous = row.get("previous")
    return {
        **row,
        "object": document(row["object"]),
        "previous": document(previous) if previous is not None else None,
    }
