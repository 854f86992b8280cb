"""The headers of CloudEvents on records that others read (Kafka protocol binding 1.0.2 §3.2, binary content mode).

Readers of ours need none of them: records of before there were any are read as well.
"""

from __future__ import annotations

from typing import Final

from streams.ports import Headers
from streams.topics import Topic

SCHEMAS: Final = "https://penstock.dev/schemas"
"""What a `ce_dataschema` begins with; NAME/vVERSION follows (docs/reference/schemas/NAME.vVERSION.json)."""
NODE_SCHEMA: Final = 1
UPDATE_SCHEMA: Final = 1
"""Versions of what values look like: within one, only what old readers may ignore comes."""
_TYPES: Final = {Topic.GRAPH: ("node", NODE_SCHEMA), Topic.UPDATES: ("update", UPDATE_SCHEMA)}


def change_set_event(source: str, event_id: str, time: str, schema: int) -> Headers:
    """Of a record of penstock.changes; `source` is cluster/source."""
    return _headers(f"/penstock/{source}", event_id, time, ("changeset", schema))


def output_event(topic: Topic, domain: str, position: tuple[int, int], time: str, *, is_there: bool = True) -> Headers:
    """Of a record of a public output: its (offset, index) names it in its domain. None for other topics.

    A removal has no value, hence no schema.
    """
    if topic not in _TYPES:
        return ()
    name, schema = _TYPES[topic]
    event_id = f"{position[0]}/{position[1]}"
    return _headers(f"/penstock/{domain}", event_id, time, (name, schema if is_there else 0))


def _headers(source: str, event_id: str, time: str, kind: tuple[str, int]) -> Headers:
    name, schema = kind
    values = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": source,
        "ce_type": f"dev.penstock.{name}",
        **({"ce_time": time} if time else {}),
        **({"ce_dataschema": f"{SCHEMAS}/{name}/v{schema}", "content-type": "application/json"} if schema else {}),
    }
    return tuple((name, value.encode()) for name, value in values.items())
