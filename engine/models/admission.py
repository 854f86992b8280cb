"""Judges an object against its model: what is wrong, where, and what to do; it never raises for bad input."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import ValidationError

from engine.document import Document
from engine.models.base import Model
from engine.models.canonical import NotJson, canonical
from engine.models.canonical import below as member
from engine.models.complaint import complaint
from engine.models.kind import Kind
from engine.models.kinds import BY_NAME
from engine.models.schema import field_names
from engine.ref import Ref

_SHOWN: Final = 5
_MOST: Final = 50
_SECRET: Final = ("", "Secret")
_DEFAULT: Final = "default"
_KEY: Final = "[key]"
"""What pydantic says of a key: such a path ends so."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong at a path such as `spec.rules[0].matches[1].path.value`, and what to do, where that is known."""

    path: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        said = f"{self.path or '(object)'}: {self.message}"
        return f"{said}: {self.remedy}" if self.remedy else said


@dataclass(frozen=True, slots=True)
class Admitted:
    """An object that its model takes. `text` is its canonical JSON; `warnings` are what was passed over."""

    model: Model
    text: bytes
    warnings: tuple[FieldProblem, ...] = ()

    @property
    def object(self) -> Document:
        """The object in its canonical form."""
        return Document(self.text)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an object is not taken."""

    problems: tuple[FieldProblem, ...]

    @property
    def message(self) -> str:
        """All of it in one line."""
        shown = "; ".join(map(str, self.problems[:_SHOWN]))
        more = len(self.problems) - _SHOWN
        return f"{shown}; and {more} more" if more > 0 else shown


@dataclass(frozen=True, slots=True)
class UnknownKind(Refusal):
    """The kind is none that is read: a source may warn and go on."""


def admit(target: Ref | tuple[str, str], object_: Any, *, strict: bool = True) -> Admitted | Refusal:
    """Judge an object of the kind of `target` (a ref, whose names must be the object's, or group and kind).

    An unknown field of our kinds is refused when `strict`, else ignored with a warning. Secrets' values are never
    part of an answer's messages.
    """
    names = (target.group, target.kind) if isinstance(target, Ref) else target
    kind = BY_NAME.get(names)
    if kind is None:
        text = f"{names[1]} of {names[0] or 'v1'} is not a kind that is read"
        return UnknownKind((FieldProblem("kind", text),))
    if not isinstance(object_, Mapping):
        return Refusal((FieldProblem("", "must be an object with apiVersion, kind and metadata"),))
    try:
        text_ = canonical(object_)
    except NotJson as error:
        return Refusal((FieldProblem(error.path, error.message, error.remedy),))
    if problem := _head_problem(kind, target, object_):
        return Refusal((problem,))
    return _judge(kind, text_, strict=strict)


def known(target: Ref, object_: Mapping[str, Any]) -> tuple[bytes, tuple[FieldProblem, ...]]:
    """Canonical JSON of an object of a kind that is read, without fields that its model lacks; and what those are.

    For objects of an API server: a CRD may be newer than we are, and refusing what it let in would be an outage. All
    else is left for `admit` to judge. Raises NotJson.
    """
    text, kind = canonical(object_), BY_NAME[target.group, target.kind]
    try:
        kind.model.model_validate_json(text)
    except ValidationError as error:
        unknown = [one["loc"] for one in error.errors(include_url=False) if one["type"] == "extra_forbidden"]
        if unknown:
            value = orjson.loads(text)
            for loc in unknown:
                _remove(value, loc)
            problems = tuple(FieldProblem(_path(loc), "unknown field") for loc in unknown)
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS), problems
    return text, ()


def _remove(value: Any, loc: tuple[int | str, ...]) -> None:
    """Remove what stands at a place; parts of it that name a model's branch are passed over."""
    *above, last = loc
    for part in above:
        if isinstance(value, dict):
            value = value.get(str(part), value)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
    if isinstance(value, dict):
        value.pop(last, None)


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        path = member(path, part)
    return path


def _head_problem(kind: Kind, target: Ref | tuple[str, str], object_: Mapping[str, Any]) -> FieldProblem | None:
    version = object_.get("apiVersion")
    served = [f"{kind.group}/{one}" if kind.group else one for one in kind.versions]
    if version not in served:
        shown = version[:128] if isinstance(version, str) else "none"
        return FieldProblem("apiVersion", f"{shown} is not served", f"use {' or '.join(served)}")
    if object_.get("kind") != kind.name:
        return FieldProblem("kind", f"must be {kind.name}")
    metadata = object_.get("metadata")
    if not isinstance(target, Ref) or not isinstance(metadata, Mapping):
        return None
    # As an API server does it: what names no namespace is of `default`, and of what lives in none it is passed over.
    told = {"name": metadata.get("name"), "namespace": metadata.get("namespace") or _DEFAULT if kind.namespaced else ""}
    for field, known_ in (("name", target.name), ("namespace", target.namespace)):
        text = told[field]
        if isinstance(text, str) and text != known_:
            shown = f"{text[:64]!r} is not the {field} under which it is known, {known_[:64]!r}"
            return FieldProblem(f"metadata.{field}", shown)
    return None


def _judge(kind: Kind, text: bytes, *, strict: bool) -> Admitted | Refusal:
    try:
        return Admitted(kind.model.model_validate_json(text), text)
    except ValidationError as error:
        problems = tuple(_problems(kind, error))
        unknown = {"extra_forbidden"} >= {one["type"] for one in error.errors(include_url=False, include_input=False)}
    if strict or not unknown:
        return Refusal(problems)
    try:
        return Admitted(kind.model.model_validate_json(text, extra="ignore"), text, problems)
    except ValidationError as error:
        return Refusal(tuple(_problems(kind, error)))


def _problems(kind: Kind, error: ValidationError) -> Iterator[FieldProblem]:
    secret = (kind.group, kind.name) == _SECRET
    seen = set()
    errors = error.errors(include_url=False)
    for one in errors[:_MOST]:
        if one["type"] == "too_short" and any(len(other["loc"]) > len(one["loc"]) for other in errors):
            continue  # pydantic counts only the items that are right
        path = ""
        for part in one["loc"]:
            if part != _KEY:
                path = member(path, part)
        if one["type"] == "extra_forbidden":
            found = [FieldProblem(path, "unknown field", _spelling(kind, one["loc"]))]
        else:
            found = [
                FieldProblem(_joined(path, place), *said)
                for place, *said in complaint(one, hide=secret and one["loc"][-1] != _KEY)
            ]
        for problem in found:
            if problem not in seen:
                seen.add(problem)
                yield problem


def _joined(path: str, place: str) -> str:
    return f"{path}{place}" if not place or place.startswith("[") or not path else f"{path}.{place}"


def _spelling(kind: Kind, loc: tuple[str | int, ...]) -> str:
    """What an unknown field was probably meant to be."""
    near = difflib.get_close_matches(str(loc[-1])[:64], field_names(kind.model, loc[:-1]), n=1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else "remove it, or correct its spelling"
