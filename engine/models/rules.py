"""Rules that a schema cannot say: their CEL text for an API server, and the same in Python. It knows no kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from engine.models.base import Model

ERROR: Final = "rule"
"""The pydantic error type of a broken rule; its context has `problems`: pairs of a path below it and a message."""

VALIDATIONS: Final = "x-kubernetes-validations"


class Rule(NamedTuple):
    """A CEL rule, the message when it is broken, and whether it holds for a value."""

    cel: str
    message: str
    holds: Callable[[Any], bool]


def broken(problems: Iterable[tuple[str, str]]) -> PydanticCustomError:
    """The error for broken rules: pairs of a path below the judged value ("" for itself) and a message."""
    return PydanticCustomError(ERROR, "rule broken", {"problems": tuple(problems)})


def _schema_with(schema: JsonSchemaValue, rules: tuple[Rule, ...]) -> JsonSchemaValue:
    texts = [{"rule": rule.cel, "message": rule.message} for rule in rules]
    return {**schema, VALIDATIONS: [*schema.get(VALIDATIONS, ()), *texts]} if texts else schema


class Ruled(Model):
    """A block with rules of its own."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    def beyond(self) -> Iterable[tuple[str, str]]:
        """What the API takes but Envoy would not: a path below this block, and a message."""
        return ()

    @model_validator(mode="after")
    def _judge(self) -> Self:
        problems = [("", rule.message) for rule in self.RULES if not rule.holds(self)]
        problems += self.beyond()
        if problems:
            raise broken(problems)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema with the rules."""
        return _schema_with(handler.resolve_ref_schema(handler(schema)), cls.RULES)


@dataclass(frozen=True, slots=True)
class Rules:
    """Annotates a field with rules."""

    rules: tuple[Rule, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Judge after the type's own checks."""
        return core_schema.no_info_after_validator_function(self._judge, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema with the rules."""
        return _schema_with(handler(schema), self.rules)

    def _judge(self, value: Any) -> Any:
        problems = [("", rule.message) for rule in self.rules if not rule.holds(value)]
        if problems:
            raise broken(problems)
        return value


@dataclass(frozen=True, slots=True)
class ListMap:
    """Annotates a list whose items differ in `key` (an attribute; `alias` as written)."""

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Judge after the type's own checks."""
        return core_schema.no_info_after_validator_function(self._judge, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of a map list."""
        return {**handler(schema), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}

    def _judge(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(value) > 1:
            _refuse_repeated([getattr(item, self.key) for item in value], f".{self.key}")
        return value


@dataclass(frozen=True, slots=True)
class ListSet:
    """Annotates a list whose items all differ."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Judge after the type's own checks."""
        return core_schema.no_info_after_validator_function(self._judge, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of a set list."""
        return {**handler(schema), "x-kubernetes-list-type": "set"}

    def _judge(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(value) > 1:
            _refuse_repeated(list(value), "")
        return value


def _refuse_repeated(keys: list[Any], below: str) -> None:
    if len(set(keys)) == len(keys):
        return
    seen: set[Any] = set()
    problems = []
    for number, key in enumerate(keys):
        if key in seen:
            problems.append((f"[{number}]{below}", f"{key!r} is there already: remove one of them"))
        seen.add(key)
    raise broken(problems)


def exactly_one(*fields: tuple[str, str]) -> Rule:
    """Exactly one of the fields (name as written, attribute) must be set, in controller-gen's words."""
    names = [name for name, _ in fields]
    given = ",".join(f"has(self.{name})" for name in names)
    return Rule(
        f"[{given}].filter(x,x==true).size() == 1",
        f"exactly one of the fields in [{' '.join(names)}] must be set",
        lambda self: sum(getattr(self, attribute) is not None for _, attribute in fields) == 1,
    )


def at_least_one(*fields: tuple[str, str]) -> Rule:
    """At least one of the fields (name as written, attribute) must be set, in controller-gen's words."""
    names = [name for name, _ in fields]
    given = ",".join(f"has(self.{name})" for name in names)
    return Rule(
        f"[{given}].filter(x,x==true).size() >= 1",
        f"at least one of the fields in [{' '.join(names)}] must be set",
        lambda self: any(getattr(self, attribute) is not None for _, attribute in fields),
    )


def at_most_one(*fields: tuple[str, str]) -> Rule:
    """At most one of the fields (name as written, attribute) may be set, in controller-gen's words."""
    names = [name for name, _ in fields]
    given = ",".join(f"has(self.{name})" for name in names)
    return Rule(
        f"[{given}].filter(x,x==true).size() <= 1",
        f"at most one of the fields in [{' '.join(names)}] may be set",
        lambda self: sum(getattr(self, attribute) is not None for _, attribute in fields) <= 1,
    )
