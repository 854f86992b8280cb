"""The reference implementation of protobuf, given the classes' own metadata as descriptors; it shares no encoder."""

from __future__ import annotations

from functools import cache
from typing import Any

from betterproto2 import Message
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "reference"


def reserialized(cls: type[Message], payload: bytes) -> bytes:
    """What the reference parser reads in the bytes, written again in its deterministic mode."""
    message = _classes()[_name(cls)]()
    message.ParseFromString(payload)
    return bytes(message.SerializeToString(deterministic=True))


_WANTED: dict[type[Message], None] = {}


def know(classes: Any) -> None:
    """Name the classes that are asked about, before the first one is."""
    todo = list(classes)
    while todo:
        cls = todo.pop()
        if cls not in _WANTED:
            _WANTED[cls] = None
            todo += [below for name in cls._betterproto.meta_by_field_name if (below := below_of(cls, name))]


def below_of(cls: Any, name: str) -> Any:
    """The class of a field's messages, of a map's values, or around a plain value; None for scalars."""
    meta = cls._betterproto.meta_by_field_name[name]
    value = meta.map_meta[1] if meta.map_meta else meta
    if value.proto_type != "message":
        return None
    if value.unwrap is not None:
        return value.unwrap()
    return cls._betterproto.cls_by_field[f"{name}.value" if meta.map_meta else name]


@cache
def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="reference.proto", package=_PACKAGE, syntax="proto3")
    for cls in _WANTED:
        _describe(cls, file.message_type.add(name=_name(cls)))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        _name(cls): message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{_name(cls)}"))
        for cls in _WANTED
    }


def _name(cls: type[Message]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}".replace(".", "_")


def _describe(cls: Any, into: Any) -> None:
    groups: dict[str, int] = {}
    later = []
    for name, meta in cls._betterproto.meta_by_field_name.items():
        field = into.field.add(name=f"{name}_", number=meta.number)
        field.label = _FIELD.LABEL_REPEATED if meta.repeated or meta.map_meta else _FIELD.LABEL_OPTIONAL
        if meta.map_meta:
            entry = into.nested_type.add(name="".join(part.capitalize() for part in f"{name}_".split("_")) + "Entry")
            entry.options.map_entry = True
            for at, (word, one) in enumerate(zip(("key", "value"), meta.map_meta, strict=True), 1):
                inner = entry.field.add(name=word, number=at, label=_FIELD.LABEL_OPTIONAL)
                _typed(inner, one, below_of(cls, name) if at == 2 else None)
            field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{_name(cls)}.{entry.name}"
            continue
        _typed(field, meta, below_of(cls, name))
        if meta.group is not None:
            if meta.group not in groups:
                groups[meta.group] = len(into.oneof_decl)
                into.oneof_decl.add(name=f"{meta.group}_group")
            field.oneof_index = groups[meta.group]
        elif meta.optional and field.type != _FIELD.TYPE_MESSAGE:
            later.append(field)
    for field in later:  # synthetic oneofs come behind the real ones
        field.proto3_optional, field.oneof_index = True, len(into.oneof_decl)
        into.oneof_decl.add(name=f"_{field.name}")


def _typed(field: Any, meta: Any, below: Any) -> None:
    if below is not None:
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{_name(below)}"
        return
    # An open enum is an int32 on the wire.
    field.type = _FIELD.TYPE_INT32 if meta.proto_type == "enum" else getattr(_FIELD, f"TYPE_{meta.proto_type.upper()}")
