"""Encodes betterproto2 messages as protobuf's deterministic mode does; it must never be slower for being general.

An encoder is compiled once a class from the library's own metadata: fields in order of their numbers, maps sorted by
key. The library's `bytes()` builds a validator a message and costs milliseconds a route; this costs microseconds.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar, cast

from betterproto2 import FieldMetadata, Message

M = TypeVar("M", bound=Message)

Encoder = Callable[[Any], bytes]

_VARINTS = {"enum", "bool", "int32", "int64", "uint32", "uint64"}
_ZIGZAGS = {"sint32", "sint64"}
_FIXED = {"double": "<d", "float": "<f", "fixed32": "<I", "fixed64": "<Q", "sfixed32": "<i", "sfixed64": "<q"}
_SMALL = tuple(bytes([number]) for number in range(128))
_MASK = (1 << 64) - 1


def varint(value: int) -> bytes:
    """A base-128 varint; negative values as 64-bit two's complement."""
    if 0 <= value < 128:
        return _SMALL[value]
    value &= _MASK
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def frame(number: int, payload: bytes) -> bytes:
    """A length-delimited field: tag, length, payload."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def _sized(body: bytes) -> bytes:
    size = len(body)
    return (_SMALL[size] if size < 128 else varint(size)) + body


def encode(message: Message) -> bytes:
    """The message's bytes, equal for equal messages whatever the order in which they were built."""
    return _encoder(type(message))(message)


def construct(cls: type[M], **values: Any) -> M:
    """A message without pydantic's validation: for translation, whose types are checked statically.

    The defaults of repeated fields are shared: messages are never changed once they are built.
    """
    message = cls.__new__(cls)
    message.__dict__.update(_defaults(cls))
    message.__dict__.update(values)
    return message


def _metadata(cls: Any) -> Any:
    """The library's own metadata of a class; its types do not say that it is reached by the class."""
    return cls._betterproto


@cache
def _defaults(cls: type[Message]) -> dict[str, Any]:
    """What the library's constructor gives an empty message: building one would build its validator (20 ms a class)."""
    found = {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(cast("Any", cls))
    }
    return found | {"_unknown_fields": b""}


def is_given(cls: type[Message], name: str, value: Any) -> bool:
    """Whether a field of a message that was constructed has another value than when nothing is said of it."""
    return value is not _defaults(cls)[name]


@cache
def _encoder(cls: type[Message]) -> Encoder:
    meta = _metadata(cls).meta_by_field_name
    defaults = _defaults(cls)
    names = sorted(meta, key=lambda name: meta[name].number)
    # `construct` shares the defaults, so most fields are passed over by identity.
    parts = [(name, _field(name, meta[name]), defaults[name]) for name in names]

    def run(message: Message) -> bytes:
        values = message.__dict__
        out = [part(value) for name, part, default in parts if (value := values[name]) is not default]
        if unknown := values.get("_unknown_fields"):
            out.append(unknown)
        return b"".join(out)

    return run


def _field(name: str, meta: FieldMetadata) -> Encoder:
    if meta.map_meta is not None:
        return _map(name, meta)
    single = _single(meta)
    if meta.repeated:
        return _packed(meta) if _is_packed(meta) else lambda items: b"".join([single(item) for item in items])
    if meta.optional or meta.group is not None:
        return single
    if meta.proto_type == "message":
        return single
    return lambda value: single(value) if value else b""


def _is_packed(meta: FieldMetadata) -> bool:
    return meta.proto_type in _VARINTS or meta.proto_type in _ZIGZAGS or meta.proto_type in _FIXED


def _packed(meta: FieldMetadata) -> Encoder:
    value_of = _scalar(meta.proto_type)
    return lambda items: frame(meta.number, b"".join([value_of(item) for item in items])) if items else b""


def _map(name: str, meta: FieldMetadata) -> Encoder:
    if meta.map_meta is None:
        raise TypeError(name)
    key_of = _single(meta.map_meta[0])
    value_of = _single(meta.map_meta[1])
    tag = varint(meta.number << 3 | 2)

    def run(items: dict[Any, Any]) -> bytes:
        out: list[bytes] = []
        for key in sorted(items):
            entry = key_of(key) + value_of(items[key])
            out += (tag, varint(len(entry)), entry)
        return b"".join(out)

    return run


def _single(meta: FieldMetadata) -> Encoder:
    """One value with its tag. A message's encoder is looked up at each use: classes are recursive."""
    kind = meta.proto_type
    if kind in {"message", "string", "bytes"}:
        tag = varint(meta.number << 3 | 2)
        payload = _payload(meta)
        if payload is encode:
            return lambda value: tag + _sized(encode(value))

        def delimited(value: Any) -> bytes:
            return tag + _sized(payload(value))

        return delimited
    scalar = _scalar(kind)
    wire = 0 if kind in _VARINTS or kind in _ZIGZAGS else (1 if kind in {"double", "fixed64", "sfixed64"} else 5)
    tag = varint(meta.number << 3 | wire)
    return lambda value: tag + scalar(value)


def _payload(meta: FieldMetadata) -> Encoder:
    if meta.proto_type == "string":
        return str.encode
    if meta.proto_type == "bytes":
        return bytes
    if meta.unwrap is not None:
        return _wrapped(meta.unwrap())
    return encode


def _wrapped(cls: type[Message]) -> Encoder:
    if cls.__name__ == "Duration":
        return _duration
    meta = _metadata(cls).meta_by_field_name
    if "value" in meta:
        return _field("value", meta["value"])
    return lambda value: encode(cls.from_wrapped(value))  # type: ignore[attr-defined]


def _duration(value: timedelta) -> bytes:
    micros = value // timedelta(microseconds=1)
    seconds, rest = divmod(abs(micros), 1_000_000)
    sign = -1 if micros < 0 else 1
    out = b"\x08" + varint(sign * seconds) if seconds else b""
    return out + (b"\x10" + varint(sign * rest * 1000) if rest else b"")


def _scalar(kind: str) -> Encoder:
    if kind in _VARINTS:
        return varint
    if kind in _ZIGZAGS:
        return lambda value: varint(value << 1 if value >= 0 else (-value << 1) - 1)
    return struct.Struct(_FIXED[kind]).pack
