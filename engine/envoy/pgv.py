"""Checks a message against Envoy's own field rules (protoc-gen-validate); it changes nothing and raises for no data.

One message that breaks such a rule makes Envoy reject the whole response, so nothing leaves that breaks one. The rules
are `pgv_rules.json` (made by deploy/pgv.py); like the encoder, a checker is compiled once a class.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from betterproto2 import FieldMetadata, Message
from envoy_data_plane.google.protobuf import Any as ProtoAny
from envoy_data_plane.message_pool import default_message_pool

from engine.envoy.pgv_value import Broken, UnknownRule, broken_by
from engine.envoy.typed import unpacked

_GROUPS: Final = "(oneof)"
_MUST = "must be given"


class Violation(NamedTuple):
    """What is broken: a field's path such as `route.weighted_clusters.clusters[1].name`, and its rule in words."""

    path: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path} {self.rule}"


Check = Callable[[Any], Violation | None]
"""A field's check; the path of what it finds begins behind the field's name."""


class NoRules(LookupError):  # noqa: N818
    """The class was out of reach when the table was made: `make pgv`."""


def violation(message: Message) -> Violation | None:
    """The first rule that the message, or anything in it, breaks; None when Envoy would take it."""
    check = _checker(type(message))
    return None if check is None else check(message)


@cache
def table() -> dict[str, Any]:
    """All rules; read once, as code is."""
    found: dict[str, Any] = json.loads(files("engine.envoy").joinpath("pgv_rules.json").read_text(encoding="utf-8"))
    return found


def rules_of(cls: type[Message]) -> dict[str, Any]:
    """The rules of a class, by field; those of a class that the descriptors lack are none. Raises NoRules."""
    name = default_message_pool.type_to_url[cls].rpartition("/")[2]
    rules: dict[str, Any] | None = table()["messages"].get(name)
    if rules is None and name not in table()["unknown"]:
        raise NoRules(name)
    return rules or {}


# -- messages ---------------------------------------------------------------------------------------------------------


@cache
def _checker(cls: type[Message]) -> Check | None:  # noqa: C901  unrolled, since it runs for every message
    """The check of a class; None when nothing in such a message can break a rule, so that it is not even looked at."""
    if cls is ProtoAny:
        # An empty one says something by being there (FilterConfig.config), and nothing stands in it.
        return lambda value: violation(unpacked(value)) if value.type_url else None
    if not _can_break(cls):
        return None
    rules = rules_of(cls)
    filled, given, always = _fields(cls, rules)
    groups = [(group, _members(cls, group)) for group in rules.get(_GROUPS, ())]

    def run(message: Message) -> Violation | None:
        values = message.__dict__
        for name, check in filled:
            if (value := values[name]) and (found := check(value)) is not None:
                return Violation(name + found.path, found.rule)
        for name, check in given:
            if (value := values[name]) is not None and (found := check(value)) is not None:
                return Violation(name + found.path, found.rule)
        for name, check in always:
            if (found := check(values[name])) is not None:
                return Violation(name + found.path, found.rule)
        for group, members in groups:
            if all(values[name] is None for name in members):
                return Violation(group, _MUST)
        return None

    return run


def _fields(cls: type[Message], rules: Mapping[str, Any]) -> tuple[list[tuple[str, Check]], ...]:
    """The checks of a class: those only of what is not empty, only of what is given, and those of everything.

    Of a oneof's members only the chosen one is checked, so "required" says nothing there.
    """
    filled: list[tuple[str, Check]] = []
    given: list[tuple[str, Check]] = []
    always: list[tuple[str, Check]] = []
    meta = _meta(cls)
    for name in rules:
        if name != _GROUPS and name not in meta:
            msg = f"{cls.__name__}.{name} is no field"
            raise UnknownRule(msg)
    for name, one in meta.items():
        check = _field(cls, name, rules.get(name, {}))
        if check is None:
            continue
        if one.group is None and _is_required(rules.get(name, {})):
            always.append((name, _required(check)))
        elif one.optional or one.group is not None or (one.proto_type == "message" and not one.repeated):
            given.append((name, check))
        else:
            empty: Any = [] if one.repeated else {} if one.map_meta is not None else _EMPTY.get(one.proto_type, 0)
            (filled if check(empty) is None else always).append((name, check))
    return filled, given, always


_EMPTY: Final[dict[str, Any]] = {"string": "", "bytes": b""}


def _is_required(rules: Mapping[str, Any]) -> bool:
    return any(rules.get(kind, {}).get("required") for kind in ("message", "any", "duration", "timestamp"))


def _required(check: Check) -> Check:
    return lambda value: Violation("", _MUST) if value is None else check(value)


def _can_break(cls: type[Message]) -> bool:
    """Whether a rule stands anywhere in reach of a class."""
    todo, seen = [cls], set()
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        if one is ProtoAny or rules_of(one):
            return True
        todo += [below for name in _meta(one) if (below := _below(one, name)) is not None]
    return False


def _meta(cls: Any) -> dict[str, FieldMetadata]:
    found: dict[str, FieldMetadata] = cls._betterproto.meta_by_field_name
    return found


def _members(cls: type[Message], group: str) -> list[str]:
    return [name for name, one in _meta(cls).items() if one.group == group]


# -- fields -----------------------------------------------------------------------------------------------------------


def _field(cls: type[Message], name: str, rules: Mapping[str, Any]) -> Check | None:
    """What is to be checked of a field; None for nothing."""
    meta = _meta(cls)[name]
    message = _message(cls, name)
    if meta.map_meta is not None:
        return _map(rules.get("map", {}), message)
    if meta.repeated:
        own = rules.get("repeated", {})
        return _repeated(own, _single(cls, name, own.get("items", {})) or message)
    return _single(cls, name, rules) or message or (_nothing if _is_required(rules) else None)


def _nothing(_: Any) -> None:
    return None


def _below(cls: Any, name: str) -> type[Message] | None:
    """The class of a field's messages, or of a map's; None for scalars and what is a plain Python value."""
    meta = _meta(cls)[name]
    value = meta.map_meta[1] if meta.map_meta is not None else meta
    if value.proto_type != "message" or value.unwrap is not None:
        return None
    found: type[Message] = cls._betterproto.cls_by_field[f"{name}.value" if meta.map_meta is not None else name]
    return found


def _message(cls: type[Message], name: str) -> Check | None:
    below = _below(cls, name)
    if below is None or not (below is ProtoAny or _can_break(below)):
        return None

    def inside(value: Any) -> Violation | None:
        check = _checker(below)  # looked up at each use: classes are recursive
        found = None if check is None else check(value)
        return None if found is None else Violation("." + found.path, found.rule)

    return inside


def _single(cls: Any, name: str, rules: Mapping[str, Any]) -> Check | None:
    """The rules of one scalar."""
    kinds = [kind for kind in rules if kind not in {"message", "any", "repeated", "map"}]
    params = {word: value for kind in kinds for word, value in rules[kind].items()}
    if not set(params) - {"required"}:
        return None
    numbers = [int(one) for one in cls._betterproto.cls_by_field[name]] if kinds == ["enum"] else []
    broken = broken_by(kinds[0], params, numbers)
    return _worded(broken)


def _worded(broken: Broken) -> Check:
    def check(value: Any) -> Violation | None:
        said = broken(value)
        return None if said is None else Violation("", said)

    return check


def _repeated(rules: Mapping[str, Any], item: Check | None) -> Check | None:
    least, most = int(rules.get("min_items", 0)), int(rules.get("max_items", 0))
    if item is None and not rules:
        return None
    unique = bool(rules.get("unique"))

    def check(values: list[Any]) -> Violation | None:
        if len(values) < least:
            return Violation("", f"must have at least {least} items")
        if most and len(values) > most:
            return Violation("", f"must have at most {most} items")
        if unique and len(set(values)) < len(values):
            return Violation("", "must have no item twice")
        if item is None:
            return None
        for number, value in enumerate(values):
            if (found := item(value)) is not None:
                return Violation(f"[{number}]{found.path}", found.rule)
        return None

    return check


def _map(rules: Mapping[str, Any], item: Check | None) -> Check | None:
    least = int(rules.get("min_pairs", 0))
    keys = rules.get("keys", {})
    key = _worded(broken_by(*next(iter(keys.items())))) if keys else None
    if key is None and item is None and not least:
        return None

    def check(values: dict[Any, Any]) -> Violation | None:
        if len(values) < least:
            return Violation("", f"must have at least {least} entries")
        for name, value in sorted(values.items()):
            found = (key(name) if key is not None else None) or (item(value) if item is not None else None)
            if found is not None:
                return Violation(f"[{name}]{found.path}", found.rule)
        return None

    return check
