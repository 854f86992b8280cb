"""Draws messages of any class from the library's own metadata; a field of a kind that is not known here is an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from betterproto2 import Message
from hypothesis import strategies as st

from engine.envoy.wire import construct
from tests.envoy.reference import below_of

_FIELDS = 5
_DEPTH = 3
_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": _TEXT,
    "bytes": st.binary(max_size=6),
    "bool": st.booleans(),
    "uint32": st.integers(0, 2**32 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "fixed32": st.integers(0, 2**32 - 1),
    "fixed64": st.integers(0, 2**64 - 1),
    "double": st.floats(allow_nan=False),
    "float": st.floats(allow_nan=False, width=32),
} | {
    f"{kind}{bits}": st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for kind in ("int", "sint", "sfixed")
    for bits in (32, 64)
}
_KEYS = _SCALARS | {"string": st.text(st.characters(exclude_categories=("Cs",)), min_size=2, max_size=2)}
"""Of one length: of two keys of which one begins with the other, the reference in Python puts the longer one first, that
in C++ and ours the shorter one."""
_PLAIN: dict[type, st.SearchStrategy[Any]] = {
    timedelta: st.timedeltas(timedelta(days=-20_000), timedelta(days=20_000)),
    datetime: st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  it wants naive ones
}


@st.composite
def messages(draw: Any, cls: Any, depth: int = _DEPTH) -> Message:
    """A message with a few of its fields set, at most one of each oneof."""
    meta = cls._betterproto.meta_by_field_name
    names = sorted(meta) if depth else [name for name in sorted(meta) if meta[name].proto_type != "message"]
    chosen = draw(st.lists(st.sampled_from(names), max_size=_FIELDS, unique=True)) if names else []
    values: dict[str, Any] = {}
    groups = set()
    for name in chosen:
        if meta[name].group is None or meta[name].group not in groups:
            groups.add(meta[name].group)
            values[name] = draw(_field(cls, name, depth))
    return construct(cls, **values)


def _field(cls: Any, name: str, depth: int) -> st.SearchStrategy[Any]:
    meta = cls._betterproto.meta_by_field_name[name]
    below = below_of(cls, name)
    if meta.map_meta:
        value = _one(cls, f"{name}.value", meta.map_meta[1], below, depth)
        kind = meta.map_meta[0].proto_type
        # Of keys that are numbers the reference in Python puts the greatest first; what we emit has none.
        return st.dictionaries(_KEYS[kind], value, max_size=3 if kind == "string" else 1)
    one = _one(cls, name, meta, below, depth)
    return st.lists(one, max_size=3) if meta.repeated else one


def _one(cls: Any, name: str, meta: Any, below: Any, depth: int) -> st.SearchStrategy[Any]:
    if meta.proto_type == "enum":
        return st.sampled_from(list(cls._betterproto.cls_by_field[name]))
    if meta.proto_type != "message":
        return _SCALARS[meta.proto_type]
    if meta.unwrap is None:
        return messages(below, max(depth - 1, 0))
    inside = below._betterproto.meta_by_field_name
    if list(inside) == ["value"]:
        return _SCALARS[inside["value"].proto_type]
    return _PLAIN[timedelta if below.__name__ == "Duration" else datetime]
