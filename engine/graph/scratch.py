"""The evaluator without memory: the oracle that the incremental one must equal; it must share no caching with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from engine.graph.reader import IndexKeys, K, Reader, Resource, V
from engine.ref import Ref


class Held(NamedTuple):
    """What outputs hold up: counts, and claims as (index, key, rank)."""

    counts: Mapping[tuple[str, Hashable], int]
    claims: frozenset[tuple[str, Hashable, Any]] = frozenset()


class Scratch:
    """Answers every read by looking at everything, every query by running it."""

    def __init__(
        self,
        indexes: Mapping[str, IndexKeys],
        resources: Mapping[Ref, Resource],
        facts: Mapping[str, Any],
        held: Held,
    ) -> None:
        self._indexes = indexes
        self._resources = resources
        self._facts = facts
        self._held = held
        self.seen: set[Ref] = set()
        """Every resource that was read, absent ones too."""

    def read(self, ref: Ref) -> Resource | None:
        """See `Reader.read`."""
        self.seen.add(ref)
        return self._resources.get(ref)

    def look(self, ref: Ref) -> Resource | None:
        """See `Reader.look`."""
        return self._resources.get(ref)

    def fact(self, name: str) -> Any:
        """See `Reader.fact`."""
        return self._facts.get(name)

    def find(self, index: str, key: Hashable) -> tuple[Ref, ...]:
        """See `Reader.find`."""
        keys = self._indexes[index]
        return tuple(sorted(ref for ref, resource in self._resources.items() if key in tuple(keys(ref, resource))))

    def count(self, index: str, key: Hashable) -> int:
        """See `Reader.count`."""
        return self._held.counts.get((index, key), 0)

    def first(self, index: str, key: Hashable) -> Any:
        """See `Reader.first`."""
        return min((rank for at, under, rank in self._held.claims if (at, under) == (index, key)), default=None)

    def claimed(self, index: str, key: Hashable) -> tuple[Any, ...]:
        """See `Reader.claimed`."""
        return tuple(sorted(rank for at, under, rank in self._held.claims if (at, under) == (index, key)))

    def get(self, query: Callable[[Reader, K], V], key: K) -> V:
        """See `Reader.get`."""
        return query(self, key)
