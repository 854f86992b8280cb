"""A fork's own of a cell of the graph that it was forked off; it leaves that one as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from engine.graph.cell import Cell

Cells = Mapping[tuple[Any, Any], Cell]
"""The fork's own cells by identity: a look makes one that is not there yet."""


class Twig(Cell):
    """Its neighbours are cells of the fork as well, each made when it is walked to.

    So the walks of the evaluator are the same in a fork, and what they compare by identity are cells of one graph.
    """

    __slots__ = ("_base", "_cells", "_others", "_seen")

    def __init__(self, base: Cell, cells: Cells) -> None:
        self.identity, self.query, self.value = base.identity, base.query, base.value
        self.height, self.stale, self.root, self.running = base.height, base.stale, base.root, None
        self._base = base
        self._cells = cells
        self._seen: tuple[Cell, ...] | None = None
        self._others = _Readers(base, cells)

    @property
    def reads(self) -> tuple[Cell, ...]:
        """See `Cell`."""
        if self._seen is None:
            self._seen = tuple([self._cells[one.identity] for one in _reads(self._base)])
        return self._seen

    @reads.setter
    def reads(self, reads: tuple[Cell, ...]) -> None:
        self._seen = reads

    @property
    def readers(self) -> Collection[Cell]:  # type: ignore[override]
        """See `Cell`."""
        return self._others

    def add_reader(self, reader: Cell) -> None:
        """One more, that was none."""
        self._others.add(reader)

    def drop_reader(self, reader: Cell) -> None:
        """One less, that was one."""
        self._others.drop(reader)


class _Readers(Collection[Cell]):
    """Those of the base, less those that read it no longer, and more."""

    __slots__ = ("_base", "_cells", "_less", "_more")

    def __init__(self, base: Cell, cells: Cells) -> None:
        self._base = base
        self._cells = cells
        self._less: set[tuple[Any, Any]] = set()
        self._more: dict[Cell, None] = {}

    def add(self, reader: Cell) -> None:
        self._more[reader] = None

    def drop(self, reader: Cell) -> None:
        if reader in self._more:
            del self._more[reader]
        else:
            self._less.add(reader.identity)

    def __iter__(self) -> Iterator[Cell]:
        return (self._cells[one.identity] for one in self.named())

    def __len__(self) -> int:
        return len(self._base.readers) - len(self._less) + len(self._more)

    def __contains__(self, reader: object) -> bool:
        return any(one is reader for one in self)

    def named(self) -> Iterator[Cell]:
        """Of each a cell of its identity, of this graph or of one below: looking makes none."""
        below = self._base.readers
        for one in below.named() if isinstance(below, _Readers) else below:
            if one.identity not in self._less:
                yield one
        yield from self._more


def _reads(cell: Cell) -> tuple[Cell, ...]:
    """What it reads, as `_Readers.named`."""
    while isinstance(cell, Twig):
        if cell._seen is not None:  # noqa: SLF001
            return cell._seen  # noqa: SLF001
        cell = cell._base  # noqa: SLF001
    return cell.reads
