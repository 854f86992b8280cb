"""Changes as JSON and back: in the log, and in the fold state while parts of a change set are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import reduce
from typing import Any, Final

import orjson

from engine.document import Document, document
from engine.events import (
    Admitted,
    Change,
    Confirm,
    Delete,
    EngineChanged,
    Lift,
    Override,
    Pin,
    Put,
    Quarantine,
    Reachable,
    Refused,
    SyncBegin,
    SyncEnd,
    Tick,
    Unpin,
    Unreachable,
)
from engine.ref import Ref, parse_ref

_WORDS: Final[dict[str, type[Change]]] = {
    "put": Put,
    "delete": Delete,
    "refused": Refused,
    "admitted": Admitted,
    "quarantine": Quarantine,
    "lift": Lift,
    "tick": Tick,
    "sync_begin": SyncBegin,
    "sync_end": SyncEnd,
    "engine_changed": EngineChanged,
    "pin": Pin,
    "override": Override,
    "confirm": Confirm,
    "unpin": Unpin,
    "unreachable": Unreachable,
    "reachable": Reachable,
}
_OPTIONAL: Final = frozenset({("refused", "ref"), ("pin", "gateway"), ("override", "object"), ("override", "previous")})
_DEEPEST: Final = 200
_SPARE: Final = 32
_VERBS: Final = {kind: word for word, kind in _WORDS.items()}


class Garbage(ValueError):  # noqa: N818
    """What was read is no change; the message says why, without its values."""


def verb(change: Change) -> str:
    """The word of a change on the wire."""
    return _VERBS[type(change)]


def to_json(change: Change) -> dict[str, Any]:
    """A change as JSON: its verb and its fields, refs as text, its object as a document."""
    answer: dict[str, Any] = {"verb": verb(change)}
    for item in fields(change):
        answer[item.name] = _plain(getattr(change, item.name))
    return answer


def _plain(value: Any) -> Any:
    if isinstance(value, Ref):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return document(value) if isinstance(value, Mapping) else value


def from_json(data: Any) -> Change:
    """Read back `to_json`; raises Garbage."""
    if not isinstance(data, dict) or not isinstance(word := data.get("verb"), str) or word not in _WORDS:
        msg = f"unknown change {data.get('verb')!r}" if isinstance(data, dict) else "a change is not an object"
        raise Garbage(msg)
    kind = _WORDS[word]
    values: dict[str, Any] = {}
    for item in fields(kind):
        if item.name not in data and item.default is not MISSING:
            continue  # A log of before there was such a field.
        if item.name not in data:
            msg = f"{word} lacks {item.name}"
            raise Garbage(msg)
        values[item.name] = _read(word, item.name, data[item.name])
    return kind(**values)


def _read(word: str, name: str, value: Any) -> Any:
    try:
        if name == "objects":
            return tuple((parse_ref(ref), int(generation)) for ref, generation in value)
        if name in {"ref", "gateway"}:
            return None if value is None and (word, name) in _OPTIONAL else parse_ref(value)
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"{word}.{name}: {error}"
        raise Garbage(msg) from error
    if value is None and (word, name) in _OPTIONAL:
        return None
    if name in {"object", "previous"}:
        if not isinstance(value, Mapping):
            msg = f"{word}.object is no object"
            raise Garbage(msg)
        _check_stamps(value)
        return _document(value)
    if name in {"was_read", "on_trial"} and isinstance(value, bool):
        return value
    if name == "to" and type(value) is int:
        return value
    if not isinstance(value, str):
        msg = f"{word}.{name} is no text"
        raise Garbage(msg)
    return value


def _document(object_: Mapping[str, Any]) -> Document:
    """As it is kept. Raises Garbage for what can be read but not written: JSON is read four times as deep."""
    try:
        kept = document(object_)
        if kept.text.count(b"{") + kept.text.count(b"[") > _DEEPEST:
            # In a row of the state it stands deeper by a few.
            orjson.dumps(reduce(lambda inner, _: [inner], range(_SPARE), orjson.loads(kept.text)))
    except TypeError as error:
        msg = "put.object is nested too deep"
        raise Garbage(msg) from error
    return kept


def _check_stamps(object_: Mapping[str, Any]) -> None:
    """What every source stamps must be there, since nothing downstream looks again. Raises Garbage."""
    metadata = object_.get("metadata")
    if not isinstance(metadata, dict):
        msg = "put.object has no metadata"
        raise Garbage(msg)
    generation = metadata.get("generation", 0)
    if not isinstance(generation, int) or isinstance(generation, bool):
        msg = "put.object has a generation that is no number"
        raise Garbage(msg)
