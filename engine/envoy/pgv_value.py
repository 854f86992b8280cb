"""Rules of single values as protoc-gen-validate defines them; it knows no messages.

A rule that is not known here is an error when its class is compiled: what Envoy checks must not be passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import re2

Broken = Callable[[Any], str | None]
"""Says in words which rule a value breaks; None when it breaks none."""

# The expressions of protoc-gen-validate for `well_known_regex`, by (name, strict).
_HEADER_NAME: Final = r"^:?[0-9a-zA-Z!#$%&'*+\-.^_|~\x60]+$"
_HEADER_VALUE: Final = r"^[^\x00-\x08\x0A-\x1F\x7F]*$"
_LOOSE: Final = r"^[^\x00\x0A\x0D]*$"
_WELL_KNOWN: Final = {
    ("HTTP_HEADER_NAME", True): (_HEADER_NAME, "must be a header's name"),
    ("HTTP_HEADER_VALUE", True): (_HEADER_VALUE, "must be a header's value: no control characters"),
    ("HTTP_HEADER_NAME", False): (_LOOSE, "must not contain NUL, CR or LF"),
    ("HTTP_HEADER_VALUE", False): (_LOOSE, "must not contain NUL, CR or LF"),
}
_INSIDE: Final = {"required", "strict", "ignore_empty"}
"""Words that are no rule of a value by themselves."""


class UnknownRule(ValueError):  # noqa: N818
    """The table has a rule that is not understood."""


def broken_by(kind: str, params: Mapping[str, Any], defined: Iterable[int] = ()) -> Broken:
    """The rules of a scalar of a rule kind ("string", "uint32", "duration" ...); `defined` are an enum's numbers."""
    made = [_rule(kind, word, params, frozenset(defined)) for word in params if word not in _INSIDE]
    if params.get("ignore_empty"):
        made = [_unless_empty(one) for one in made]
    if len(made) == 1:
        return made[0]

    def every(value: Any) -> str | None:
        for one in made:
            if (said := one(value)) is not None:
                return said
        return None

    return every


def _unless_empty(rule: Broken) -> Broken:
    return lambda value: rule(value) if value else None


def _rule(kind: str, word: str, params: Mapping[str, Any], defined: frozenset[int]) -> Broken:
    wanted = params[word]
    if kind in {"string", "bytes"}:
        return _text(word, wanted, strict=bool(params.get("strict", True)))
    if kind == "enum" and word == "defined_only":
        return _holds(lambda value: value in defined, "must be one of the values that Envoy defines")
    if word in {"in", "not_in", "const"}:
        return _listed(word, wanted)
    if kind in {"bool", "enum"} or word not in _BOUNDS:
        msg = f"{kind}.{word}"
        raise UnknownRule(msg)
    holds, said = _BOUNDS[word]
    bound = _seconds(wanted) if kind == "duration" else float(wanted) if kind in {"double", "float"} else int(wanted)
    return _holds(lambda value: holds(value, bound), f"must be {said} {wanted}")


_BOUNDS: Final[dict[str, tuple[Callable[[Any, Any], bool], str]]] = {
    "gt": (lambda value, bound: value > bound, "greater than"),
    "gte": (lambda value, bound: value >= bound, "at least"),
    "lt": (lambda value, bound: value < bound, "less than"),
    "lte": (lambda value, bound: value <= bound, "at most"),
}


def _text(word: str, wanted: Any, *, strict: bool) -> Broken:
    match word:
        case "min_len":
            least = int(wanted)
            return _holds(lambda value: len(value) >= least, f"must have at least {least} characters")
        case "max_len":
            most = int(wanted)
            return _holds(lambda value: len(value) <= most, f"must have at most {most} characters")
        case "max_bytes":
            limit = int(wanted)
            return _holds(
                lambda value: len(value) * 4 <= limit or len(value.encode()) <= limit,
                f"must have at most {limit} bytes",
            )
        case "well_known_regex":
            pattern, said = _WELL_KNOWN[wanted, strict]
            return _matches(pattern, said)
        case "pattern":
            return _re2(wanted)
        case "prefix":
            return _holds(lambda value: value.startswith(wanted), f"must begin with {wanted!r}")
        case "suffix":
            return _holds(lambda value: value.endswith(wanted), f"must end with {wanted!r}")
        case "in" | "not_in" | "const":
            return _listed(word, wanted)
    raise UnknownRule(word)


def _listed(word: str, wanted: Any) -> Broken:
    values = [wanted] if word == "const" else list(wanted)
    shown = ", ".join(map(str, values))
    if word == "not_in":
        return _holds(lambda value: value not in values, f"must be none of {shown}")
    return _holds(lambda value: value in values, f"must be one of {shown}")


def _holds(holds: Callable[[Any], bool], said: str) -> Broken:
    return lambda value: None if holds(value) else said


def _matches(pattern: str, said: str) -> Broken:
    found = re.compile(pattern.removesuffix("$") + r"\Z").match
    return lambda value: None if found(value) else said


def _re2(pattern: str) -> Broken:
    compiled = re2.compile(pattern)
    return lambda value: None if compiled.search(value) else f"must match {pattern}"


def _seconds(text: str) -> timedelta:
    """A duration of the table, such as "0.001s"."""
    return timedelta(microseconds=round(float(text.removesuffix("s")) * 1_000_000))
