"""The public records' JSON Schemas and the AsyncAPI document, made from the values of `streams.client`."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml
from pydantic import TypeAdapter

from engine.events import SCHEMA
from streams.client.values import ChangeSet, Node, Update
from streams.cloud_events import NODE_SCHEMA, SCHEMAS, UPDATE_SCHEMA
from streams.topics import Topic, topic_name

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_RECORDS: Final = (
    ("changeset", SCHEMA, ChangeSet, Topic.CHANGES, "What somebody changed: the log, and the only source of truth."),
    ("update", UPDATE_SCHEMA, Update, Topic.UPDATES, "What an offset of the log changed, in objects and in routing."),
    ("node", NODE_SCHEMA, Node, Topic.GRAPH, "A node of the resolved routing graph as it is; no value: it is gone."),
)


def schemas() -> dict[str, dict[str, Any]]:
    """`NAME.vVERSION` -> the schema of a public record's value."""
    return {f"{name}.v{version}": _schema(name, version, model) for name, version, model, _, _ in _RECORDS}


def _schema(name: str, version: int, model: Any) -> dict[str, Any]:
    found = TypeAdapter(model).json_schema(by_alias=True)
    return {"$schema": _DIALECT, "$id": f"{SCHEMAS}/{name}/v{version}", **found}


def schema_pages() -> dict[str, str]:
    """File name -> text."""
    return {f"schemas/{name}.json": json.dumps(one, indent=2) + "\n" for name, one in schemas().items()}


def incompatible(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What of a new schema a reader of the old one could not pass over, each with its place; sorted."""
    return sorted(_breaks(old, new, (old, new), "", frozenset()))


def _breaks(old: Any, new: Any, roots: tuple[Any, Any], at: str, seen: frozenset[tuple[str, str]]) -> set[str]:
    names = (str(old.get("$ref")), str(new.get("$ref")))
    if "$ref" in old and names in seen:
        return set()
    old, new = _resolved(old, roots[0]), _resolved(new, roots[1])
    seen |= {names}
    found = {
        f"{at or '/'}: {word} was {old.get(word)!r}, is {new.get(word)!r}"
        for word in _FIXED
        if old.get(word) != new.get(word)
    }
    for name in set(old.get("required", ())) - set(new.get("required", ())):
        found.add(f"{at}/{name}: may be missing now")
    for name, one in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            found.add(f"{at}/{name}: is gone")
        else:
            found |= _breaks(one, new["properties"][name], roots, f"{at}/{name}", seen)
    for word in ("items", "additionalProperties"):
        if isinstance(old.get(word), dict):
            found |= _breaks(old[word], new.get(word) or {}, roots, f"{at}/{word}", seen)
    return found | _alternatives(old, new, roots, at, seen)


def _alternatives(old: Any, new: Any, roots: tuple[Any, Any], at: str, seen: frozenset[tuple[str, str]]) -> set[str]:
    """Each new one must be an old one; at the top more may come: a node's key says which it is."""
    mine, theirs = old.get("anyOf", []), new.get("anyOf", [])
    found = set()
    for number, one in enumerate(mine):
        if all(_breaks(one, other, roots, at, seen) for other in theirs):
            found.add(f"{at or '/'}: alternative {number} ({one.get('$ref') or one.get('type')}) is gone or another")
    if at and mine and len(theirs) > len(mine):
        found.add(f"{at}: may be something else now")
    return found


_FIXED: Final = ("type", "enum", "const", "pattern", "format")


def _resolved(schema: Any, root: Any) -> Any:
    return root["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def asyncapi() -> str:
    """The AsyncAPI 3.0 document of the public topics, as YAML."""
    channels, operations, messages = {}, {}, {}
    for name, version, _, topic, words in _RECORDS:
        address = topic_name(topic)
        channels[topic.value] = {
            "address": address,
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
            "bindings": {"kafka": {"topic": address, "bindingVersion": "0.5.0"}},
        }
        operations[f"receive-{topic.value}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{topic.value}"},
            "summary": words,
        }
        messages[name] = {
            "name": f"dev.penstock.{name}",
            "summary": words,
            "contentType": "application/json",
            "headers": {"$ref": "#/components/schemas/headers"},
            "payload": {
                "schemaFormat": "application/schema+json;version=draft-2020-12",
                "schema": {"$ref": f"schemas/{name}.v{version}.json"},
            },
        }
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "penstock's public topics",
            "version": ".".join(str(one[1]) for one in _RECORDS),
            "description": "Each record is a CloudEvent in binary mode; see topics.md.",
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": {"host": "localhost:9092", "protocol": "kafka"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {"headers": _headers()}},
    }
    return yaml.safe_dump(document, sort_keys=False, width=120)


def _headers() -> dict[str, Any]:
    text = {"type": "string"}
    names = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_dataschema", "content-type")
    return {
        "type": "object",
        "description": "Records of before there were any have none; a removal has no ce_dataschema.",
        "properties": {name: {**text, "const": "1.0"} if name == "ce_specversion" else text for name in names},
    }
