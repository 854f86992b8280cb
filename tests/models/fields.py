"""A schema as a flat list of fields with all that limits them, so that two schemas can be compared line by line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

_LIMITS = (
    "type", "format", "default", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
    "maxProperties", "minimum", "maximum", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-int-or-string",
)  # fmt: skip
_VALIDATIONS = "x-kubernetes-validations"


def flattened(schema: Mapping[str, Any], path: str = "spec") -> dict[str, str]:
    """Path of each field, and its limits as text. CEL rules are there as digests of rule and message, sorted."""
    return dict(_fields(schema, path, required=True))


def _fields(schema: Mapping[str, Any], path: str, *, required: bool) -> Iterator[tuple[str, str]]:
    yield path, _row(schema, required=required)
    for name, member in schema.get("properties", {}).items():
        yield from _fields(member, f"{path}.{name}", required=name in schema.get("required", ()))
    if "items" in schema:
        yield from _fields(schema["items"], f"{path}[]", required=False)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _fields(schema["additionalProperties"], f"{path}{{}}", required=False)


def _row(schema: Mapping[str, Any], *, required: bool) -> str:
    # "atomic" says how an API server merges, nothing about what is valid.
    limits = {name: schema[name] for name in _LIMITS if name in schema and schema[name] != "atomic"}
    if "enum" in limits:
        limits["enum"] = sorted(limits["enum"], key=str)
    if required:
        limits["required"] = True
    if rules := schema.get(_VALIDATIONS):
        limits["cel"] = sorted(_digest(rule) for rule in rules)
    return json.dumps(limits, separators=(",", ":"))


def _digest(rule: Mapping[str, str]) -> str:
    return hashlib.sha256(f"{rule['rule']}\n{rule['message']}".encode()).hexdigest()[:12]
