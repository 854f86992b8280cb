"""Says in words what pydantic found: a message and a remedy for each error; never what a Secret holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson
from pydantic_core import ErrorDetails

from engine.models.rules import ERROR
from engine.models.texts import MEANING

_Context = Mapping[str, Any]
_SHOWN: Final = 64

_WORDS: Final[dict[type, str]] = {
    dict: "an object", list: "a list", str: "text", int: "a number", float: "a number", bool: "true or false",
    type(None): "nothing",
}  # fmt: skip


def complaint(error: ErrorDetails, *, hide: bool = False) -> Iterator[tuple[str, str, str]]:
    """Path below the error's own, message and remedy of each thing that one error says."""
    context = error.get("ctx", {})
    if error["type"] == ERROR:
        for place, message in context["problems"]:
            yield place, message, ""
        return
    value = error["input"]
    shown = "its value" if hide else _shown(value)
    if error["type"] in _TYPES:
        remedy = "put it in quotes" if error["type"] == "string_type" and isinstance(value, int | float) else ""
        yield "", f"must be {_TYPES[error['type']]}, not {_WORDS.get(type(value), 'that')}", remedy
    elif error["type"] == "string_pattern_mismatch":
        message, remedy = MEANING.get(context["pattern"], (f"does not match {context['pattern']}", ""))
        yield "", f"{shown} {message}", remedy
    elif error["type"] in _LIMITS:
        yield "", _LIMITS[error["type"]](shown, context), ""
    elif error["type"] == "json_invalid":
        yield "", "is nested too deeply", ""
    else:
        yield "", error["msg"] if not hide else "is not valid", ""


def _shown(value: object) -> str:
    text = orjson.dumps(value, default=lambda _: "?").decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


_TYPES: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}

_LIMITS: Final[dict[str, Callable[[str, _Context], str]]] = {
    "missing": lambda _, __: "must be given",
    "literal_error": lambda shown, context: f"{shown} is not one of {context['expected']}",
    "string_too_short": lambda _, context: f"must have at least {context['min_length']} characters",
    "string_too_long": lambda _, context: f"is too long: at most {context['max_length']} characters",
    "too_short": lambda _, context: (
        f"has {context['actual_length']} items: at least {context['min_length']} are needed"
    ),
    "too_long": lambda _, context: (
        f"has {context['actual_length']} items: at most {context['max_length']} are possible"
    ),
    "greater_than_equal": lambda shown, context: f"{shown} is too small: at least {context['ge']}",
    "less_than_equal": lambda shown, context: f"{shown} is too large: at most {context['le']}",
}
