"""The incremental evaluator: reruns the queries whose reads changed, lowest first; it must never rerun another.

A query's answer is kept with what it read. When an input changes, its direct readers are queued by height; a rerun
that gives an equal answer stops there. Answers that nobody reads any more are forgotten. The order of reruns can
only cost a second rerun, never a wrong answer: a reader is queued again whenever something it read changes.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from engine.graph.cell import AnyQuery, Cell, Failure
from engine.graph.reader import IndexKeys, K, QueryFailed, Reader, Resource, V
from engine.graph.twig import Twig
from engine.ref import Ref
from engine.table import Trunk


@dataclass(slots=True)
class Work:
    """Counters of what was done: tests compare them instead of times."""

    reruns: int = 0
    items: int = 0
    """Things read by reruns: one a read, and one for every ref that a find answered."""
    copies: int = 0
    """Cells that a fork has made of its base's."""


_OBJECTS = ("read", "look")
"""The words of reads of a resource, which have its ref for a key."""


class Graph:
    """Inputs, indexes over them, and the answers of queries. Implements `Reader` for the queries it runs."""

    def __init__(self, indexes: Mapping[str, IndexKeys], on_request: Container[tuple[str, str]] = ()) -> None:
        """Of the kinds `on_request`, (group, name), it tells which objects are read."""
        self.work = Work()
        self._indexes = indexes
        self._on_request = on_request
        self._asked: dict[Ref, bool] = {}
        self._resources: MutableMapping[Ref, Resource] = {}
        self._facts: MutableMapping[str, Any] = {}
        self._members: MutableMapping[tuple[str, Hashable], MutableMapping[Ref, None]] = {}
        self._counts: MutableMapping[tuple[str, Hashable], int] = {}
        self._claims: MutableMapping[tuple[str, Hashable], list[Any]] = {}
        self._cells: MutableMapping[tuple[Any, Any], Cell] = {}
        self._current: dict[Cell, None] = {}
        self._running: list[Cell] = []
        """The queries that are under way, each asked by the one before."""
        self._queue: list[tuple[int, int, Cell]] = []
        self._serial = 0
        self._orphans: dict[Cell, None] = {}
        self._changed: dict[Cell, None] = {}

    def fork(self, trunk: Trunk) -> Graph:
        """A graph that begins as this one, which must be settled."""
        fork = Graph(self._indexes, self._on_request)
        fork._resources, fork._facts = trunk.over(self._resources), trunk.over(self._facts)
        fork._members = trunk.over(self._members, trunk.over)
        fork._counts, fork._claims = trunk.over(self._counts), trunk.over(self._claims, list)
        fork._cells = trunk.over(self._cells, fork._copied)
        return fork

    def _copied(self, cell: Cell) -> Cell:
        self.work.copies += 1
        return Twig(cell, self._cells)

    # -- inputs ---------------------------------------------------------------------------------------------------

    def put(self, ref: Ref, resource: Resource | None) -> None:
        """Set or, with None, take away a resource."""
        before = self._resources.get(ref)
        if before == resource:
            return
        if resource is None:
            del self._resources[ref]
        else:
            self._resources[ref] = resource
        self._reindex(ref, before, resource)
        self._set(("read", ref), resource)
        self._set(("look", ref), resource)

    def resource(self, ref: Ref) -> Resource | None:
        """The resource, not recorded: for the shell of the engine, not for queries."""
        return self._resources.get(ref)

    def inputs(self) -> tuple[dict[Ref, Resource], dict[str, Any]]:
        """All resources and facts as they are, for another graph."""
        return dict(self._resources), dict(self._facts)

    def state_fact(self, name: str, value: Any) -> None:
        """Set or, with None, take away a fact."""
        if value is None:
            self._facts.pop(name, None)
        else:
            self._facts[name] = value
        self._set(("fact", name), value)

    def adjust(self, index: str, key: Hashable, by: int) -> int:
        """Change a count; answers the new one."""
        count = self._counts.get((index, key), 0) + by
        if count:
            self._counts[index, key] = count
        else:
            self._counts.pop((index, key), None)
        self._set(("count", (index, key)), count)
        return count

    def claim(self, index: str, key: Hashable, rank: Any, *, present: bool) -> None:
        """Enter a rank under a key, or take it away."""
        ranks = self._claims.setdefault((index, key), [])
        if present:
            insort(ranks, rank)
        else:
            del ranks[bisect_left(ranks, rank)]
        if not ranks:
            del self._claims[index, key]
        self._set(("first", (index, key)), ranks[0] if ranks else None)
        if ("claimed", (index, key)) in self._cells:
            self._set(("claimed", (index, key)), tuple(ranks))

    def _reindex(self, ref: Ref, before: Resource | None, after: Resource | None) -> None:
        for index, keys in self._indexes.items():
            old = set(keys(ref, before)) if before is not None else set()
            new = set(keys(ref, after)) if after is not None else set()
            for key in old - new:
                members = self._members[index, key]
                del members[ref]
                if not members:
                    del self._members[index, key]
                self._touch(("find", (index, key)))
            for key in new - old:
                self._members.setdefault((index, key), {})[ref] = None
                self._touch(("find", (index, key)))

    def _set(self, identity: tuple[Any, Any], value: Any) -> None:
        cell = self._cells.get(identity)
        if cell is not None and cell.value != value:
            cell.value = value
            self._mark(cell)

    def _touch(self, identity: tuple[Any, Any]) -> None:
        cell = self._cells.get(identity)
        if cell is not None:
            index, key = identity[1]
            # Sorted once a change, on the read that follows (None: not yet).
            cell.value = None if (index, key) in self._members else ()
            self._mark(cell)

    # -- reading (what queries see) -------------------------------------------------------------------------------

    def read(self, ref: Ref) -> Resource | None:
        """See `Reader.read`."""
        self.work.items += 1
        cell = self._cells.get(("read", ref))
        if cell is None:
            cell = self._input(("read", ref), self._resources.get(ref))
        self._current[cell] = None
        value: Resource | None = cell.value
        return value

    def look(self, ref: Ref) -> Resource | None:
        """See `Reader.look`."""
        if (ref.group, ref.kind) not in self._on_request:
            return self.read(ref)
        self.work.items += 1
        cell = self._cells.get(("look", ref))
        if cell is None:
            cell = self._input(("look", ref), self._resources.get(ref))
        self._current[cell] = None
        value: Resource | None = cell.value
        return value

    def fact(self, name: str) -> Any:
        """See `Reader.fact`."""
        self.work.items += 1
        cell = self._cells.get(("fact", name))
        if cell is None:
            cell = self._input(("fact", name), self._facts.get(name))
        self._current[cell] = None
        return cell.value

    def find(self, index: str, key: Hashable) -> tuple[Ref, ...]:
        """See `Reader.find`."""
        cell = self._cells.get(("find", (index, key)))
        if cell is None:
            cell = self._input(("find", (index, key)), None)
        if cell.value is None:
            cell.value = tuple(sorted(self._members.get((index, key), ())))
        self.work.items += 1 + len(cell.value)
        self._current[cell] = None
        found: tuple[Ref, ...] = cell.value
        return found

    def count(self, index: str, key: Hashable) -> int:
        """See `Reader.count`."""
        self.work.items += 1
        cell = self._cells.get(("count", (index, key)))
        if cell is None:
            cell = self._input(("count", (index, key)), self._counts.get((index, key), 0))
        self._current[cell] = None
        number: int = cell.value
        return number

    def first(self, index: str, key: Hashable) -> Any:
        """See `Reader.first`."""
        self.work.items += 1
        cell = self._cells.get(("first", (index, key)))
        if cell is None:
            ranks = self._claims.get((index, key))
            cell = self._input(("first", (index, key)), ranks[0] if ranks else None)
        self._current[cell] = None
        return cell.value

    def claimed(self, index: str, key: Hashable) -> tuple[Any, ...]:
        """See `Reader.claimed`."""
        cell = self._cells.get(("claimed", (index, key)))
        if cell is None:
            cell = self._input(("claimed", (index, key)), tuple(self._claims.get((index, key), ())))
        ranks: tuple[Any, ...] = cell.value
        self.work.items += 1 + len(ranks)
        self._current[cell] = None
        return ranks

    def get(self, query: Callable[[Reader, K], V], key: K) -> V:
        """See `Reader.get`; raises QueryFailed when the query raised."""
        self.work.items += 1
        cell = self._cells.get((query, key))
        if cell is None:
            cell = self._cells[query, key] = Cell((query, key), query)
            self._run(cell)
        elif cell.running is not None:
            msg = f"{_name(query)} reads itself: {key!r}"
            raise QueryFailed(msg)
        elif cell.stale:
            self._run(cell)
        self._current[cell] = None
        if type(cell.value) is Failure:
            raise QueryFailed(cell.value.text)
        answer: V = cell.value
        return answer

    def _input(self, identity: tuple[Any, Any], value: Any) -> Cell:
        cell = self._cells[identity] = Cell(identity, None, value)
        if identity[0] == "read":
            self._ask(identity[1], is_read=True)
        return cell

    def _ask(self, ref: Ref, *, is_read: bool) -> None:
        if (ref.group, ref.kind) in self._on_request:
            self._asked[ref] = is_read

    # -- outputs --------------------------------------------------------------------------------------------------

    def want(self, query: AnyQuery, key: Hashable) -> None:
        """Keep the answer of a query up to date from now on."""
        cell = self._cells.get((query, key))
        if cell is None:
            cell = self._cells[query, key] = Cell((query, key), query)
            cell.stale = True
        if not cell.root:
            cell.root = True
            self._changed[cell] = None
            if cell.stale:
                self._push(cell)

    def unwant(self, query: AnyQuery, key: Hashable) -> None:
        """The answer is no longer an output; it is forgotten unless another query reads it."""
        cell = self._cells[query, key]
        cell.root = False
        self._changed.pop(cell, None)
        self._orphans[cell] = None

    def settle(self) -> list[tuple[AnyQuery, Any, Any]]:
        """Rerun what is stale; answers the outputs that changed as (query, key, answer or QueryFailed)."""
        queue = self._queue
        while queue:
            height, _, cell = heapq.heappop(queue)
            if not cell.stale or self._cells.get(cell.identity) is not cell:
                continue
            if height < cell.height:
                self._push(cell)
                continue
            if cell.readers or cell.root:
                self._run(cell)
            else:
                self._orphans[cell] = None
        self._forget()
        changed = [(cell.query, cell.identity[1], cell.value) for cell in self._changed if cell.query is not None]
        self._changed = {}
        return [(q, key, QueryFailed(v.text) if type(v) is Failure else v) for q, key, v in changed]

    def sources(self, query: AnyQuery, key: Hashable) -> tuple[Ref, ...]:
        """Every resource that an answer depends on, transitively, absent ones too; sorted."""
        start = self._cells.get((query, key))
        seen: dict[Cell, None] = {}
        todo = [start] if start is not None else []
        while todo:
            cell = todo.pop()
            if cell not in seen:
                seen[cell] = None
                todo.extend(cell.reads)
        return tuple(sorted(cell.identity[1] for cell in seen if cell.identity[0] in _OBJECTS))

    def asked(self) -> dict[Ref, bool]:
        """Objects on request that are read now, or (False) no more, since it was asked last."""
        asked, self._asked = self._asked, {}
        return asked

    # -- recomputing ----------------------------------------------------------------------------------------------

    def _mark(self, cell: Cell) -> None:
        # Who reads it for the first time in the run that is under way is no reader yet, and may have the old answer.
        for reader in chain(cell.readers, self._running):
            if reader.running is not None and cell not in reader.running:
                continue  # it will read, or has no more need of, the new answer in the run that is under way
            if not reader.stale:
                reader.stale = True
                reader.height = max(reader.height, cell.height + 1)
                self._push(reader)

    def _push(self, cell: Cell) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (cell.height, self._serial, cell))

    def _run(self, cell: Cell) -> None:
        outer, self._current = self._current, {}
        cell.stale, cell.running = False, self._current
        self._running.append(cell)
        try:
            value = cell.query(self, cell.identity[1])  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  a query that fails is data: it must not stop the others
            value = Failure(_failure(cell, error))
        finally:
            reads, self._current = self._current, outer
            cell.running = None
            self._running.pop()
        self.work.reruns += 1
        self._link(cell, reads)
        if value != cell.value or type(value) is not type(cell.value):
            cell.value = value
            if cell.root:
                self._changed[cell] = None
            self._mark(cell)

    def _link(self, cell: Cell, reads: dict[Cell, None]) -> None:
        old, new = cell.reads, tuple(reads)
        if new != old:
            before = dict.fromkeys(old)
            for other in new:
                if other not in before:
                    other.add_reader(cell)
            for other in old:
                if other not in reads:
                    other.drop_reader(cell)
                    if not other.readers:
                        self._orphans[other] = None
            cell.reads = new
        height = 0
        for other in new:
            if other.height > height:  # noqa: PLR1730  max() of a generator took 4 % of a build
                height = other.height
        cell.height = height + 1

    def _forget(self) -> None:
        while self._orphans:
            cell, _ = self._orphans.popitem()
            if cell.readers or cell.root or self._cells.get(cell.identity) is not cell:
                continue
            del self._cells[cell.identity]
            if cell.identity[0] == "read":
                self._ask(cell.identity[1], is_read=False)
            for other in cell.reads:
                other.drop_reader(cell)
                if not other.readers:
                    self._orphans[other] = None


def _failure(cell: Cell, error: Exception) -> str:
    return str(error) if isinstance(error, QueryFailed) else f"{_name(cell.query)}: {type(error).__name__}: {error}"


def _name(query: object) -> str:
    return str(getattr(query, "__qualname__", query))


def index_keys(*kinds: str, keys: IndexKeys) -> IndexKeys:
    """An index over some kinds only."""

    def limited(ref: Ref, resource: Resource) -> Iterable[Hashable]:
        return keys(ref, resource) if ref.kind in kinds else ()

    return limited
