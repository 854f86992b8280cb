"""What a template reads of a message: its JSON's fields, its body, headers of the request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from engine.templates.tree import Node, Part, Place

_OF_REQUEST: Final = {"request_header": None, "get_cookie": "cookie", "get_cookie_i": "cookie"}
"""Functions that read the request's headers, and which of them; None is what their argument says."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Of some templates together.

    `fields`: names that only the body's JSON can give, the first place of each. `headers`: of the request, by name;
    None, any of them.
    """

    fields: tuple[tuple[str, Place], ...] = ()
    body: bool = False
    headers: frozenset[str] | None = frozenset()


def reading(*nodes: Node) -> Reading:
    """What they read."""
    fields: dict[str, Place] = {}
    for node in nodes:
        for name, place in _free(node, frozenset()):
            fields.setdefault(name, place)
    calls = [one for node in nodes for one in _all(node) if one.op == "call"]
    names = [_header(one) for one in calls if one.parts[0] in _OF_REQUEST]
    return Reading(
        tuple(sorted(fields.items())),
        any(one.parts[0] in {"body", "context"} for one in calls),
        None if None in names else frozenset(name for name in names if name is not None),
    )


def _header(call: Node) -> str | None:
    fixed = _OF_REQUEST[str(call.parts[0])]
    args = call.parts[1]
    given = args[0] if isinstance(args, tuple) and args else None
    if fixed is None and isinstance(given, Node) and given.op == "const" and isinstance(given.parts[0], str):
        return given.parts[0].lower()
    return fixed


def _all(node: Node) -> Iterator[Node]:
    yield node
    for one in node.below():
        yield from _all(one)


def _free(node: Node, bound: frozenset[str]) -> Iterator[tuple[str, Place]]:
    """The names that nothing in the template gives a value."""
    match node.op:
        case "name":
            if node.parts[0] not in bound:
                yield str(node.parts[0]), node.at
        case "body" | "capture":
            yield from _sequence(node.parts[0], bound)
        case "if":
            yield from _arms(node, bound)
        case "for":
            target, over, test, body, otherwise = node.parts
            yield from _some(over, bound)
            inside = bound | _given(target) | {"loop"}
            yield from _some(test, inside)
            yield from _sequence(body, inside)
            yield from _sequence(otherwise, bound)
        case "with":
            pairs, body = node.parts
            for target, value in _pairs(pairs):
                yield from _some(value, bound)
                bound |= _given(target)
            yield from _sequence(body, bound)
        case "macro":
            name, params, body = node.parts
            yield from _some(params, bound)
            yield from _sequence(body, bound | {str(name), *(str(one) for one, _ in _pairs(params))})
        case _:
            for one in node.below():
                yield from _free(one, bound)


def _arms(node: Node, bound: frozenset[str]) -> Iterator[tuple[str, Place]]:
    arms, otherwise = node.parts
    for test, body in _pairs(arms):
        yield from _some(test, bound)
        yield from _sequence(body, bound)
    yield from _sequence(otherwise, bound)


def _sequence(body: Part, bound: frozenset[str]) -> Iterator[tuple[str, Place]]:
    """Statements one after the other: what one sets the later ones have."""
    for one in body if isinstance(body, tuple) else ():
        if isinstance(one, Node):
            yield from _free(one, bound)
            bound |= _sets(one)


def _sets(node: Node) -> frozenset[str]:
    if node.op in {"set", "emit"}:
        captured = [one for one in _all(node) if one.op == "capture"]
        within = frozenset(name for one in captured for below in one.below() for name in _sets(below))
        return within | (_given(node.parts[0]) if node.op == "set" else frozenset())
    if node.op == "macro":
        return frozenset({str(node.parts[0])})
    if node.op == "if":
        arms, otherwise = node.parts
        inside = [*(body for _, body in _pairs(arms)), otherwise]
        found = [one for body in inside if isinstance(body, tuple) for one in body if isinstance(one, Node)]
        return frozenset(name for one in found for name in _sets(one))
    return frozenset()


def _given(target: Part) -> frozenset[str]:
    """The names that an assignment gives a value."""
    if isinstance(target, str):
        return frozenset({target})
    if isinstance(target, tuple) and target and target[0] == "several":
        return (
            frozenset(name for one in target[1] for name in _given(one))
            if isinstance(target[1], tuple)
            else frozenset()
        )
    return frozenset()


def _some(part: Part, bound: frozenset[str]) -> Iterator[tuple[str, Place]]:
    if isinstance(part, Node):
        yield from _free(part, bound)
    elif isinstance(part, tuple):
        for one in part:
            yield from _some(one, bound)


def _pairs(part: Part) -> Iterator[tuple[Part, Part]]:
    for one in part if isinstance(part, tuple) else ():
        if isinstance(one, tuple) and len(one) == 2:
            yield one[0], one[1]
