"""Judges an object against its model: what is wrong, where, and what to do; it never raises for bad input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from engine.models.kinds import BY_NAME
from engine.ref import Ref

_SHOWN = 5
_FOREIGN = {"status"}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong at a path such as `spec.rules[0].matches[1].path.value`."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """An object that its model takes, without what is not input."""

    object: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an object is not taken."""

    problems: tuple[FieldProblem, ...]

    @property
    def message(self) -> str:
        """All of it in one line."""
        shown = "; ".join(f"{one.path}: {one.message}" for one in self.problems[:_SHOWN])
        more = len(self.problems) - _SHOWN
        return f"{shown}; and {more} more" if more > 0 else shown


def admit(ref: Ref, object_: Mapping[str, Any]) -> Admitted | Refusal:
    """Judge an object of a known kind. Secrets' values are never part of an answer."""
    kind = BY_NAME.get((ref.group, ref.kind))
    if kind is None:
        return Refusal((FieldProblem("kind", f"{ref.kind} of {ref.group or 'v1'} is not a kind that is read"),))
    version = str(object_.get("apiVersion", "")).rpartition("/")[2]
    if version not in kind.versions:
        served = ", ".join(kind.versions)
        return Refusal((FieldProblem("apiVersion", f"{version or 'none'} is not served; use {served}"),))
    cleaned = {key: value for key, value in object_.items() if key not in _FOREIGN or ref.kind == "Service"}
    try:
        kind.model.model_validate(cleaned)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        return Refusal(tuple(_problem(one) for one in details))
    except RecursionError:
        return Refusal((FieldProblem("", "nested too deeply"),))
    return Admitted(cleaned)


def _problem(error: ErrorDetails) -> FieldProblem:
    path = ""
    for part in error["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = part.rstrip("_")
            name = to_camel(name) if "_" in name else name
            path += f".{name}" if path else name
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "unknown field: remove it, or correct its spelling"
    elif error["type"] == "missing":
        message = "must be given"
    return FieldProblem(path or "(object)", message)
