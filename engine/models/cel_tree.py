"""What a checked expression of CEL says, read from its bytes (cel.expr.CheckedExpr); it judges nothing.

The classes of these messages belong to Envoy's, which whoever only reads manifests does without.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from engine.fields import fields

_REFERENCES: Final = 2
_TREE: Final = 4
_SOURCE: Final = 5
_POSITIONS: Final = 4
_OVERLOADS: Final = 3
_IDENT, _SELECT = 4, 5
_NESTED: Final = {5: (1,), 6: (1, 3), 7: (1,), 8: (2,), 9: (2, 4, 6, 7, 8)}
"""Of a node's kinds (select, call, list, struct, comprehension): which of their fields hold nodes or entries."""
_STRUCT: Final = 8
_ENTRY: Final = (3, 4)


class Attribute(NamedTuple):
    """`root.name`, and where the dot stands, counted from 0."""

    root: str
    name: str
    offset: int


class Call(NamedTuple):
    """A function, which of its overloads it may be, and where it stands, counted from 0."""

    overloads: tuple[str, ...]
    offset: int


class Tree(NamedTuple):
    """The attributes and functions of an expression, the levels of messages it is deep, and itself (cel.expr.Expr)."""

    attributes: tuple[Attribute, ...]
    calls: tuple[Call, ...]
    depth: int
    expression: bytes


def tree(checked: bytes) -> Tree:
    """The tree of a CheckedExpr that stands in an Any, as the library hands it out."""
    message = _one(checked, 2)
    positions = {_number(one, 1): _number(one, 2) for one in _all(_one(message, _SOURCE), _POSITIONS)}
    expression = _one(message, _TREE)
    selected: list[tuple[str, str, int]] = []
    depth = _walk(expression, selected)
    calls = [
        Call(tuple(name.decode() for name in _all(_one(one, 2), _OVERLOADS)), positions.get(_number(one, 1), 0))
        for one in _all(message, _REFERENCES)
    ]
    attributes = (Attribute(root, name, positions.get(number, 0)) for root, name, number in selected)
    return Tree(
        tuple(sorted(attributes, key=lambda one: one.offset)),
        tuple(sorted((one for one in calls if one.overloads), key=lambda one: one.offset)),
        depth,
        expression,
    )


def _walk(node: bytes, selected: list[tuple[str, str, int]]) -> int:
    """Notes what is selected from names; says how many messages deep it goes."""
    depth = 0
    for number, inner in fields(node):
        if not isinstance(inner, bytes):
            continue
        if number == _SELECT and (name := _all(_one(inner, 1), _IDENT)):
            selected.append((_one(name[0], 1).decode(), _one(inner, 2).decode(), _number(node, 2)))
        for field in _NESTED.get(number, ()):
            for below in _all(inner, field):
                deeper = _entry(below, selected) if number == _STRUCT else _walk(below, selected)
                depth = max(depth, deeper + 1)
    return depth + 1


def _entry(entry: bytes, selected: list[tuple[str, str, int]]) -> int:
    return 1 + max((_walk(one, selected) for field in _ENTRY for one in _all(entry, field)), default=0)


def _all(message: bytes, wanted: int) -> list[bytes]:
    return [value for number, value in fields(message) if number == wanted and isinstance(value, bytes)]


def _one(message: bytes, wanted: int) -> bytes:
    return next(iter(_all(message, wanted)), b"")


def _number(message: bytes, wanted: int) -> int:
    return next((value for number, value in fields(message) if number == wanted and isinstance(value, int)), 0)
