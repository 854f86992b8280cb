"""Breaks messages one rule at a time, and takes each rule to its limit; rules come from the table, as the test's plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from betterproto2 import Message
from envoy_data_plane.google.protobuf import Any as ProtoAny

from engine.envoy.pgv import rules_of
from engine.envoy.typed import packed, unpacked
from engine.envoy.wire import construct

_NANO = timedelta(microseconds=1)


class Broken(NamedTuple):
    """A root message in which one rule is broken, or just held where `lawful`; `rule` names class, field and rule."""

    rule: tuple[str, str, str]
    message: Message
    lawful: bool


def changed(message: Message, **values: Any) -> Message:
    """A copy with other fields."""
    return construct(type(message), **{**message.__dict__, **values})


def breakages(message: Message, seen: set[tuple[str, str, str]]) -> Iterator[Broken]:
    """Every rule of every class in the message that is not in `seen` yet."""
    if isinstance(message, ProtoAny):
        if not message.type_url:
            return
        name = message.type_url.rpartition("/")[2]
        for one in breakages(unpacked(message), seen) if message.type_url else ():
            yield one._replace(message=packed(name, one.message))
        return
    yield from _own(message, seen)
    for name, value in list(vars(message).items()):
        for item, rebuilt in _children(value):
            for one in breakages(item, seen):
                yield one._replace(message=changed(message, **{name: rebuilt(one.message)}))


def _children(value: Any) -> Iterable[tuple[Message, Any]]:
    if isinstance(value, Message):
        yield value, lambda new: new
    elif isinstance(value, list):
        for at, item in enumerate(value):
            if isinstance(item, Message):
                yield item, lambda new, at=at: [*value[:at], new, *value[at + 1 :]]
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, Message):
                yield item, lambda new, key=key: {**value, key: new}


def _own(message: Message, seen: set[tuple[str, str, str]]) -> Iterator[Broken]:
    cls = type(message)
    meta = cls._betterproto.meta_by_field_name
    for field, rules in rules_of(cls).items():
        if field == "(oneof)":
            for group in rules:
                rule = (cls.__name__, group, "oneof")
                if rule not in seen:
                    seen.add(rule)
                    empty = {name: None for name, one in meta.items() if one.group == group}
                    yield Broken(rule, changed(message, **empty), lawful=False)
            continue
        value = message.__dict__[field]
        if value is None and meta[field].group is not None:
            continue  # another member of the oneof is chosen here
        for word, bad, good in _field(rules, value):
            rule = (cls.__name__, field, word)
            if rule in seen or (word == "required" and meta[field].group is not None):
                continue  # of a oneof only the chosen member is checked: "required" says nothing there
            seen.add(rule)
            yield Broken(rule, changed(message, **{field: bad}), lawful=False)
            for one in good:
                yield Broken(rule, changed(message, **{field: one}), lawful=True)


def _field(rules: dict[str, Any], value: Any) -> Iterator[tuple[str, Any, list[Any]]]:
    for kind, params in rules.items():
        if params.get("required"):
            yield "required", None, []
        if kind == "repeated":
            yield from _repeated(params, value)
        elif kind == "map":
            if "keys" in params and value:
                yield "keys", {"": next(iter(value.values()))}, []
        elif kind not in {"message", "any"} and (kind != "bool" or value):
            for word in params:
                unbreakable = (word, params[word]) == ("min_len", "0") or (
                    kind.startswith("uint") and word == "gte" and int(params[word]) == 0
                )
                if word not in {"required", "strict", "ignore_empty"} and not unbreakable:
                    yield word, *_scalar(kind, word, params)


def _repeated(params: dict[str, Any], value: list[Any]) -> Iterator[tuple[str, Any, list[Any]]]:
    if "min_items" in params:
        yield "min_items", value[: int(params["min_items"]) - 1], []
    if "max_items" in params and value:
        most = int(params["max_items"])
        yield "max_items", [value[0]] * (most + 1), [[value[0]] * most]
    for kind, item in params.get("items", {}).items():
        for word in item if value else ():
            if word != "strict":
                bad, _ = _scalar(kind, word, item)
                yield f"items {word}", [*value, bad], []


def _scalar(kind: str, word: str, params: dict[str, Any]) -> tuple[Any, list[Any]]:
    """A value that breaks the rule, and values at its limit; no rule is passed over."""
    wanted = params[word]
    if kind == "enum":
        return (4711 if word == "defined_only" else int(wanted[0])), []
    if kind == "bool":
        return not wanted, []
    if kind == "duration":
        bound = timedelta(seconds=float(wanted.removesuffix("s")))
        step = _NANO * 1000
        return {
            "gt": (bound, [bound + step]),
            "gte": (bound - step, [bound]),
            "lt": (bound, []),
            "lte": (bound + step, []),
        }[word]
    if kind in {"string", "bytes"}:
        return _text(kind, word, wanted)
    number = float(wanted) if kind == "double" else int(wanted)
    return {
        "gt": (number, [number + 1]),
        "gte": (number - 1, [number]),
        "lt": (number, [number - 1]),
        "lte": (number + 1, [number]),
    }[word]


def _text(kind: str, word: str, wanted: Any) -> tuple[Any, list[Any]]:
    made: tuple[str, list[str]] = {
        "min_len": lambda: ("x" * (int(wanted) - 1), ["x" * int(wanted)]),
        "max_len": lambda: ("x" * (int(wanted) + 1), ["x" * int(wanted)]),
        "max_bytes": lambda: ("\u00e9" * (int(wanted) // 2) + "x" * (int(wanted) % 2 + 1), ["\u00e9" * (int(wanted) // 2)]),
        "well_known_regex": lambda: ("a\nb", ["ab"]),
        "pattern": lambda: ("/a?;", ["/ab"]),
        "in": lambda: ("zzz", list(wanted)),
        "prefix": lambda: ("zzz", []),
        "suffix": lambda: ("zzz", []),
    }[word]()
    return (made[0].encode(), [one.encode() for one in made[1]]) if kind == "bytes" else made
