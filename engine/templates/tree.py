"""What a template says, as a frozen tree; every node knows where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """Line and column, both counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class Wrong(ValueError):  # noqa: N818
    """What stands against a template, and where."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place


@dataclass(frozen=True, slots=True)
class Node:
    """An operation: `parts` are what it works on, nodes and constants, as `program.py` lists them."""

    op: str
    at: Place
    parts: tuple[Part, ...] = ()

    def below(self) -> Iterator[Node]:
        """The nodes directly under it."""
        return _nodes(self.parts)


Part = Node | str | int | float | bool | None | tuple["Part", ...]
"""Of an operation: a node, a constant, or a list of such."""


def _nodes(parts: tuple[Part, ...]) -> Iterator[Node]:
    for part in parts:
        if isinstance(part, Node):
            yield part
        elif isinstance(part, tuple):
            yield from _nodes(part)
