"""Records to bytes and back: the only place that knows how change sets and outputs look on the wire.

What penstock.updates says of an update `streams.updates` knows.

It must never raise anything but Garbage and NewerSchema for bytes that came from a topic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson

from engine.changes import Garbage, from_json, to_json, verb
from engine.document import Document, document
from engine.events import (
    SCHEMA,
    Admitted,
    Change,
    ChangeSet,
    Confirm,
    Delete,
    Lift,
    Override,
    Pin,
    Put,
    Quarantine,
    Refused,
    Unpin,
    Unreachable,
)
from engine.placement import is_placement
from engine.ref import Ref, parse_ref
from engine.update import Fragment, FragmentKind, Update, parse_fragment_key
from streams.cloud_events import change_set_event, output_event
from streams.ports import Headers, Outgoing, Record
from streams.signing import signature_of
from streams.topics import OUTPUTS, PART_BYTES, PROGRESS, Topic, key, split_key
from streams.updates import update_values

_RECORD_BYTES: Final = 6 << 20
"""Of a change set's record: a source's has 2 MiB at most, and what is made of it must fit into what Kafka takes."""

_TEXT_LENGTH: Final = 1 << 16
"""Of what a change set says of itself: each part of what is told of it says it again."""

_LAST: Final = 1 << 40
"""Index of a progress record: behind whatever its update holds."""

_TRACE: Final = "ce_traceparent"
"""The CloudEvents extension "Distributed Tracing", in records that are no CloudEvents of their own, too."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class NewerSchema(ValueError):  # noqa: N818
    """The record was written by a newer penstock: skipping it would fork history."""


def encode_change_set(change_set: ChangeSet, partition: int = 0, trace: str = "") -> list[Outgoing]:
    """One record, or as many parts as PART_BYTES asks for; all parts belong into one transaction.

    `trace` is the traceparent of the step that writes it.
    """
    parts = _split([dumps(to_json(change)) for change in change_set.changes])
    record_key = change_set.domain.encode()
    return [
        Outgoing(
            Topic.CHANGES,
            partition,
            record_key,
            _change_set_value(replace(change_set, part=number, parts=len(parts)), changes),
            _event(change_set, f"{change_set.id}/{number}" if len(parts) > 1 else change_set.id) + trace_header(trace),
        )
        for number, changes in enumerate(parts)
    ]


def trace_header(trace: str) -> Headers:
    """What carries a traceparent; nothing for none."""
    return ((_TRACE, trace.encode()),) if trace else ()


def trace_of(record: Record) -> str:
    """The traceparent that a record carries, or whatever somebody wrote in its place; "" for none."""
    return next((value.decode(errors="replace") for name, value in record.headers if name == _TRACE), "")


def traced(record: Outgoing, trace: str) -> Outgoing:
    """A record of an update: what closes it on a topic carries its trace, and nothing that a row is made of."""
    if not trace or record.key is None or not record.key.endswith(f"/{PROGRESS}".encode()):
        return record
    return record._replace(headers=record.headers + trace_header(trace))


def without_trace(headers: Headers) -> Headers:
    """Headers as a replay knows them: a trace is of the moment."""
    return tuple(one for one in headers if one[0] != _TRACE)


def _split(changes: Sequence[bytes]) -> list[list[bytes]]:
    parts: list[list[bytes]] = [[]]
    size = 0
    for change in changes:
        if parts[-1] and size + len(change) > PART_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(change)
        size += len(change) + 1
    return parts


def _change_set_value(change_set: ChangeSet, changes: Sequence[bytes]) -> bytes:
    head = {
        "schema": SCHEMA,
        "domain": change_set.domain,
        "cluster": change_set.cluster,
        "source": change_set.source,
        "id": change_set.id,
        "time": change_set.time,
        "actor": change_set.actor,
        "part": change_set.part,
        "parts": change_set.parts,
    }
    return orjson.dumps(head)[:-1] + b',"changes":[' + b",".join(changes) + b"]}"


def _event(change_set: ChangeSet, event_id: str) -> Headers:
    return change_set_event(f"{change_set.cluster}/{change_set.source}", event_id, change_set.time, SCHEMA)


def decode_change_set(record: Record) -> ChangeSet:
    """Read a record of penstock.changes; raises Garbage or NewerSchema."""
    if record.value is None:
        msg = "a tombstone has no meaning in the log"
        raise Garbage(msg)
    _check_size(len(record.value))
    try:
        data = orjson.loads(record.value)
    except orjson.JSONDecodeError as error:
        msg = f"not JSON: {error}"
        raise Garbage(msg) from error
    if not isinstance(data, dict) or not isinstance(schema := data.get("schema"), int):
        msg = "not a change set: no schema version"
        raise Garbage(msg)
    if schema > SCHEMA:
        msg = (
            f"record {record.offset} of {record.topic} has schema {schema}, this penstock reads up to {SCHEMA}: "
            f"upgrade penstock"
        )
        raise NewerSchema(msg)
    change_set = _change_set(data)
    # Written out anew some numbers are longer.
    _check_size(sum(len(document(one.object).text) for one in change_set.changes if isinstance(one, Put)))
    signature = signature_of(record)
    return change_set if signature is None else replace(change_set, signature=signature)


def _check_size(size: int) -> None:
    """A row of the state holds two revisions of an object. Raises Garbage."""
    if size > _RECORD_BYTES:
        msg = f"has {size} bytes, at most {_RECORD_BYTES} are possible"
        raise Garbage(msg)


def _change_set(data: Mapping[str, Any]) -> ChangeSet:
    texts: dict[str, str] = {}
    for name in ("domain", "cluster", "source", "id", "time", "actor"):
        value = data.get(name)
        if not isinstance(value, str):
            msg = f"{name} is not text"
            raise Garbage(msg)
        if len(value) > _TEXT_LENGTH:
            msg = f"{name} has {len(value)} characters, at most {_TEXT_LENGTH} are possible"
            raise Garbage(msg)
        texts[name] = value
    if not _is_time(texts["time"]):
        msg = "time is not RFC 3339 in UTC"
        raise Garbage(msg)
    part, parts, changes = data.get("part"), data.get("parts"), data.get("changes")
    if not isinstance(part, int) or not isinstance(parts, int) or not 0 <= part < parts:
        msg = "part and parts do not fit"
        raise Garbage(msg)
    if not isinstance(changes, list):
        msg = "changes is not a list"
        raise Garbage(msg)
    read = tuple(from_json(change) for change in changes)
    domain, cluster, source, name, time, actor = texts.values()
    return ChangeSet(domain, cluster, source, name, time, actor, read, part, parts)


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def encode_update(
    domain: str, partition: int, update: Update, summary: Mapping[str, Any], first: int = 0
) -> Iterator[Outgoing]:
    """All records of one update, each output partition closed by its progress record.

    Made one by one as they are written: of a whole domain's they would take many times its own memory. `summary` says
    what changed upstream (`change_summary`) and by which engine it was resolved, for penstock.updates. `first` is the
    index of the first record among those of its offset.
    """
    index = first
    deltas = (
        (Topic.STATE, update.state),
        (Topic.GRAPH, update.nodes),
        (Topic.XDS, update.fragments),
        (Topic.STATUS, update.statuses),
        (Topic.INFRA, update.infra),
    )
    for topic, delta in deltas:
        for name in sorted(delta.removed):
            event = output_event(topic, domain, (update.offset, index), update.time, is_there=False)
            yield _row(domain, partition, topic, name, None, _position(update.offset, index) + event)
            index += 1
        for name in sorted(delta.set):
            at = _position(update.offset, index)
            value = delta.set[name]
            if isinstance(value, Fragment):
                yield _row(domain, partition, topic, name, value.payload, at + _fragment_headers(value))
            else:
                yield _row(
                    domain,
                    partition,
                    topic,
                    name,
                    dumps(value),
                    at + output_event(topic, domain, (update.offset, index), update.time),
                )
            index += 1
    for number, part in enumerate(update_values(update, summary), index):
        event = output_event(Topic.UPDATES, domain, (update.offset, number), update.time)
        at = _position(update.offset, number)
        yield Outgoing(Topic.UPDATES, partition, domain.encode(), part, at + event)
    mark = {"time": update.time, "engine": summary.get("engine", "")}
    yield from progress_records(domain, partition, update.offset, mark, first)


def progress_records(
    domain: str, partition: int, offset: int, mark: Mapping[str, str], first: int = 0
) -> list[Outgoing]:
    """What closes an update on each output partition; penstock.updates is closed by its own last record.

    `mark` is the domain's time and the engine's version; `first` as in `encode_update`.
    """
    value = dumps({**mark, "offset": offset})
    at = _position(offset, first + _LAST)
    return [_row(domain, partition, topic, PROGRESS, value, at) for topic in OUTPUTS if topic is not Topic.UPDATES]


def change_summary(change_set: ChangeSet) -> dict[str, Any]:
    """Who changed which objects, without their contents."""
    return {
        "cluster": change_set.cluster,
        "source": change_set.source,
        "actor": change_set.actor,
        "changes": [_summary(change) for change in change_set.changes],
    }


def _summary(change: Change) -> dict[str, Any]:
    answer: dict[str, Any] = {"verb": verb(change)}
    if isinstance(change, Put):
        answer |= {"ref": str(change.ref), "generation": change.object.get("metadata", {}).get("generation")}
    elif isinstance(change, Delete):
        answer["ref"] = str(change.ref)
    elif isinstance(change, Refused | Admitted):
        answer["location"] = change.location
    elif isinstance(change, Quarantine | Lift):
        answer |= {"gateway": str(change.gateway), "fragment": change.fragment}
        if isinstance(change, Lift) and change.reason:
            answer["reason"] = change.reason
    elif isinstance(change, Pin):
        gateway = str(change.gateway) if change.gateway is not None else None
        answer |= {"pin": change.id, "gateway": gateway, "to": change.to, "reason": change.reason}
    elif isinstance(change, Override):
        answer |= {"pin": change.pin, "ref": str(change.ref)}
    elif isinstance(change, Confirm | Unpin):
        answer["pin"] = change.pin
    elif isinstance(change, Unreachable):
        answer["since"] = change.since
    return answer


def decode_fragment(record: Record) -> Fragment | None:
    """Read a record of penstock.xds; None for a tombstone. Raises Garbage."""
    if record.value is None or record.key is None:
        return None
    try:
        provenance = tuple((parse_ref(ref), int(at)) for ref, at in orjson.loads(record.header("provenance", "[]")))
        return Fragment(
            parse_fragment_key(split_key(record.key)[1]),
            record.value,
            record.header("version"),
            record.header("parent"),
            record.header("order"),
            provenance,
            record.header("sealed") == "1",
        )
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"not a fragment: {error}"
        raise Garbage(msg) from error


def decode_object(record: Record, *members: str) -> dict[str, Any] | None:
    """A JSON object with these members at least; None for whatever else somebody wrote into a topic of ours."""
    try:
        value = orjson.loads(record.value or b"null")
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and all(one in value for one in members) else None


LATENCY = ("p50", "p90", "p99", "max", "many")
"""What a Gateway's row tells of the time to acknowledgement: milliseconds, and of how many acknowledgements."""


def decode_convergence(record: Record) -> dict[str, Any] | None:
    """A record of penstock.convergence; None for one that no projection wrote."""
    value = decode_object(record, "gateway", "proxies", "lowest")
    if value is None or not _is_convergence(value):
        return None
    # Rows of earlier versions do not tell them.
    return {"acknowledged": value["lowest"], "undeployed": "", "latency": None, **value}


def _is_convergence(value: Mapping[str, Any]) -> bool:
    gateway, proxies = value["gateway"], value["proxies"]
    if not isinstance(gateway, str) or not is_placement(gateway) or not isinstance(proxies, dict):
        return False
    if any(type(one) is not int and one is not None for one in (value["lowest"], value.get("acknowledged"))):
        return False
    if not isinstance(value.get("undeployed", ""), str) or not _is_latency(value.get("latency")):
        return False
    return all(
        isinstance(one, dict)
        and type(one.get("offset")) is int
        and isinstance(one.get("connected"), bool)
        and all(isinstance(one.get(name, ""), str) for name in ("error", "envoy"))
        and "error" in one
        for one in proxies.values()
    )


def _is_latency(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(type(value.get(one)) is int for one in LATENCY))


def dumps(value: Any) -> bytes:
    """JSON with sorted keys: equal values give equal bytes."""
    if type(value) is Document:
        return value.text
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=_default)


def _default(value: Any) -> Any:
    if type(value) is Document:
        return orjson.Fragment(value.text)
    if isinstance(value, Ref | FragmentKind):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(type(value).__name__)


def _row(domain: str, partition: int, topic: Topic, name: str, value: bytes | None, headers: Headers) -> Outgoing:
    return Outgoing(topic, partition, key(domain, name), value, headers)


def _position(offset: int, index: int) -> Headers:
    return (("offset", str(offset).encode()), ("index", str(index).encode()))


def _fragment_headers(fragment: Fragment) -> Headers:
    provenance = orjson.dumps([[str(ref), generation] for ref, generation in fragment.provenance])
    return (
        ("version", fragment.version.encode()),
        ("parent", fragment.parent.encode()),
        ("order", fragment.order.encode()),
        ("provenance", provenance),
        ("sealed", b"1" if fragment.sealed else b"0"),
    )
