"""The records of penstock.updates and back: what each offset changed, in as many parts as its size asks for.

It must never raise for bytes that came from the topic: what is no update is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from streams.cloud_events import UPDATE_SCHEMA
from streams.ports import Record
from streams.topics import PART_BYTES

if TYPE_CHECKING:
    from engine.update import Delta, Update

_FRAME_BYTES: Final = 1024
"""What a part takes beside its head and its names."""

_LISTS: Final = (
    ("changes",),
    ("downstream", "fragments", "set"),
    ("downstream", "fragments", "removed"),
    ("downstream", "nodes", "set"),
    ("downstream", "nodes", "removed"),
    ("downstream", "statuses"),
    ("routing",),
)
"""Where the names of an update stand, in the order in which they go into its parts."""

_NODE_BYTES: Final = 64 << 10
"""A larger node is only named: who wants it reads penstock.graph. With one endpoint a thousand others would be told."""

_TEXTS: Final = ("ref", "location", "gateway", "fragment")
"""What a change names, each where it has it."""

Value = dict[str, Any]


def update_values(update: Update, summary: Mapping[str, Any]) -> Iterator[bytes]:
    """The values of an update's records, each of a part of its names; most updates are one part."""
    head = {**summary, "schema": UPDATE_SCHEMA, **_empty(), "offset": update.offset, "time": update.time}
    room = PART_BYTES - len(orjson.dumps(head)) - _FRAME_BYTES
    parts = _parts(_names(summary.get("changes", ()), update), room)
    for number, part in enumerate(parts):
        value = head | _empty() | {"part": number, "parts": len(parts)}
        for path, name in part:
            _list(value, path).append(name)
        yield orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _empty() -> Value:
    return {"changes": [], "downstream": _none(), "routing": []}


def _none() -> Value:
    return {"fragments": {"set": [], "removed": []}, "nodes": {"set": [], "removed": []}, "statuses": []}


def _names(changes: Iterable[Any], update: Update) -> Iterator[tuple[tuple[str, ...], Any]]:
    fragments, nodes, statuses = update.fragments, update.nodes, update.statuses
    found: Sequence[Iterable[Any]] = (
        changes,
        sorted(fragments.set),
        sorted(fragments.removed),
        sorted(nodes.set),
        sorted(nodes.removed),
        sorted([*statuses.set, *statuses.removed]),
        _routing(nodes),
    )
    for path, names in zip(_LISTS, found, strict=True):
        for name in names:
            yield path, name


def _routing(nodes: Delta) -> Iterator[Value]:
    """Each node that changed as it was and as it is, where it is not too large."""
    for name in sorted({*nodes.set, *nodes.removed}):
        sides = {"before": nodes.before.get(name), "after": nodes.set.get(name)}
        texts = {side: _text(one) for side, one in sides.items() if one is not None}
        is_small = sum(map(len, texts.values())) <= _NODE_BYTES
        verb = "removed" if name in nodes.removed else "changed" if name in nodes.before else "added"
        yield {
            "node": name,
            "verb": verb,
            **({side: orjson.Fragment(one) for side, one in texts.items()} if is_small else {}),
        }


def _text(node: Any) -> bytes:
    """A node's JSON; of a document it is there already."""
    text: bytes | None = getattr(node, "text", None)
    return text if text is not None else orjson.dumps(node, option=orjson.OPT_SORT_KEYS)


def _parts(names: Iterable[tuple[tuple[str, ...], Any]], room: int) -> list[list[tuple[tuple[str, ...], Any]]]:
    parts: list[list[tuple[tuple[str, ...], Any]]] = [[]]
    size = 0
    for path, name in names:
        takes = len(orjson.dumps(name)) + 1
        if parts[-1] and size + takes > room:
            parts.append([])
            size = 0
        parts[-1].append((path, name))
        size += takes
    return parts


def _list(value: Value, path: Sequence[str]) -> list[Any]:
    found: Any = value
    for step in path:
        found = found[step]
    names: list[Any] = found
    return names


def decode_update(record: Record) -> Value | None:
    """A record of penstock.updates; None for one that is no update: an opening, or not written by a resolver."""
    try:
        value = orjson.loads(record.value or b"null")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("changes"), list):
        return None
    # Written before updates came in parts it has neither of the two.
    value = {"part": 0, "parts": 1, **value}
    value.setdefault("routing", [])
    value["downstream"] = _downstream(value.get("downstream"))
    return value if value["downstream"] is not None and _is_update(value) else None


def _downstream(value: Any) -> Value | None:
    """All lists of names, those that are absent as empty ones; None for what is none."""
    if not isinstance(value, dict):
        return None
    filled = _none()
    for name, empty in filled.items():
        found = value.get(name, empty)
        if isinstance(empty, dict) != isinstance(found, dict):
            return None
        filled[name] = {**empty, **found} if isinstance(found, dict) else found
    return filled


def _is_update(value: Value) -> bool:
    if any(type(value.get(name)) is not int for name in ("offset", "part", "parts")):
        return False
    if not 0 <= value["part"] < value["parts"]:
        return False
    changes, *names, nodes = (_list(value, path) for path in _LISTS)
    if not all(isinstance(one, list) for one in (*names, nodes)):
        return False
    return (
        all(map(_is_change, changes))
        and all(map(_is_node, nodes))
        and all(isinstance(name, str) for some in names for name in some)
    )


def _is_change(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("verb"), str):
        return False
    return all(value.get(name) is None or isinstance(value[name], str) for name in _TEXTS)


def _is_node(value: Any) -> bool:
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str) for name in ("node", "verb")):
        return False
    return all(isinstance(value.get(side, {}), dict) for side in ("before", "after"))


class Whole:
    """Puts the parts of updates together as they come. An update whose first part was not seen is left out."""

    def __init__(self) -> None:
        self.began = -1
        """Where the first record of the update that was whole last stands."""
        self._begun: Value | None = None
        self._seen = 0

    def take(self, records: Iterable[Record]) -> Iterator[Value]:
        """The updates that are whole with these records, without a word of parts."""
        for record in records:
            value = decode_update(record)
            if value is not None and value["part"] == 0:
                self.began = record.offset
            if value is not None and (whole := self._joined(value)) is not None:
                yield whole

    def _joined(self, value: Value) -> Value | None:
        part, parts = value.pop("part"), value.pop("parts")
        if part == 0:
            self._begun = value
        elif self._begun is None or part != self._seen or self._begun["offset"] != value["offset"]:
            # A repetition of what a hung transaction wrote, or the rest of what began before.
            return None
        else:
            for path in _LISTS:
                _list(self._begun, path).extend(_list(value, path))
        self._seen = part + 1
        if part + 1 < parts:
            return None
        whole, self._begun = self._begun, None
        return whole
