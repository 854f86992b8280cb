"""The evaluator without memory: the oracle that the incremental one must equal; it must share no caching with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from engine.graph.reader import IndexKeys, K, Reader, Resource, V
from engine.ref import Ref


class Scratch:
    """Answers every read by looking at everything, every query by running it."""

    def __init__(
        self,
        indexes: Mapping[str, IndexKeys],
        resources: Mapping[Ref, Resource],
        facts: Mapping[str, Any],
        counts: Mapping[tuple[str, Hashable], int],
    ) -> None:
        self._indexes = indexes
        self._resources = resources
        self._facts = facts
        self._counts = counts

    def read(self, ref: Ref) -> Resource | None:
        """See `Reader.read`."""
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
        return self._counts.get((index, key), 0)

    def get(self, query: Callable[[Reader, K], V], key: K) -> V:
        """See `Reader.get`."""
        return query(self, key)
