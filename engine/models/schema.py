"""Structural schemas of models, as a CRD needs them: no references, no null, no titles; CEL rules kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from engine.models.base import Model
from engine.models.texts import INT32

Schema = dict[str, Any]

_DROPPED: Final = {"title", "$defs", "propertyNames"}


@cache
def _generated(model: type[Model]) -> Mapping[str, Any]:
    return model.model_json_schema(by_alias=True, mode="validation")


def structural(model: type[Model]) -> Schema:
    """The schema of a model, in the subset of OpenAPI that an API server takes."""
    whole = _generated(model)
    return _inlined(whole, whole.get("$defs", {}))


def field_names(model: type[Model], path: Sequence[str | int]) -> list[str]:
    """The fields of the block at a path, as written; empty when there is none."""
    schema: Any = structural(model)
    for part in path:
        schema = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part)
        if not isinstance(schema, dict):
            return []
    return sorted(schema.get("properties", ()))


def _inlined(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    reference = node.get("$ref")
    if reference is not None:
        name = reference.rpartition("/")[2]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined({**definitions[name], **beside}, definitions)
    some = [one for one in node.get("anyOf", ()) if one.get("type") != "null"]
    if len(some) == 1:
        beside = {key: value for key, value in node.items() if key != "anyOf"}
        return _inlined({**some[0], **beside}, definitions)
    answer: Schema = {}
    patterns = node.get("patternProperties")
    if patterns:
        # OpenAPI 3.0 says nothing of keys: what the values must be holds for all of them.
        (values,) = patterns.values()
        node = {
            **{key: value for key, value in node.items() if key != "patternProperties"},
            "additionalProperties": values,
        }
    for key, value in node.items():
        if key not in _DROPPED and not _is_noise(key, value, node):
            answer[key] = _kept(key, value, definitions)
    return _bounded(answer)


def _is_noise(key: str, value: Any, node: Mapping[str, Any]) -> bool:
    """Defaults that only Python needs, and limits that a schema's format says already."""
    if key == "default":
        return value is None or value in ([], {}, False)
    if key == "maximum":
        return bool(value == INT32 and node.get("format") == "int32")
    if key == "minimum":
        return bool(value == -INT32 - 1 and node.get("format") == "int32")
    return key == "additionalProperties" and isinstance(value, bool)


def _kept(key: str, value: Any, definitions: Mapping[str, Any]) -> Any:
    if key == "properties":
        return {name: _inlined(one, definitions) for name, one in value.items()}
    if key in ("items", "additionalProperties"):
        return _inlined(value, definitions)
    if key == "anyOf":
        return [_inlined(one, definitions) for one in value]
    return value


def _bounded(schema: Schema) -> Schema:
    """What OpenAPI 3.0 writes otherwise than JSON Schema 2020-12."""
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    for edge, name in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if edge in schema and not isinstance(schema[edge], bool):
            schema[name] = schema[edge]
            schema[edge] = True
    return schema
