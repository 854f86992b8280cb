"""What the graph keeps: an input or a query's answer with its readers and reads; it computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

AnyQuery = Callable[[Any, Any], Any]


class Failure:
    """A query's exception as its answer; equal by text, so that failing the same way again stops there."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Failure) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


_FEW = 4


class Cell:
    """An input or a query's answer, with its readers. Compared by identity.

    There are twenty a route, most with one reader: a tuple until they are many, as are the reads. As dictionaries they
    were half of all that a domain held (counted: 38 of 74 a route).
    """

    __slots__ = ("height", "identity", "query", "readers", "reads", "root", "running", "stale", "value")

    def __init__(self, identity: tuple[Any, Any], query: AnyQuery | None, value: Any = None) -> None:
        self.identity = identity
        self.query = query
        self.value = value
        self.readers: Collection[Cell] = ()
        self.reads: tuple[Cell, ...] = ()
        self.height = 0
        self.stale = False
        self.running: dict[Cell, None] | None = None
        self.root = False

    def add_reader(self, reader: Cell) -> None:
        """One more, if it is not one already."""
        readers = self.readers
        if type(readers) is dict:
            readers[reader] = None
        elif reader not in readers:
            more = (*readers, reader)
            self.readers = more if len(more) <= _FEW else dict.fromkeys(more)

    def drop_reader(self, reader: Cell) -> None:
        """One less, if it was one."""
        readers = self.readers
        if type(readers) is dict:
            readers.pop(reader, None)
        else:
            self.readers = tuple([one for one in readers if one is not reader])
