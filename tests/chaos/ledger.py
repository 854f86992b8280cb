"""Audits what is on the topics: every offset applied once, in order, with the bytes of a clean fold of the log.

It reads as every consumer does, read_committed, and never writes. What it says holds until a compacted topic rolls its
first segment (an hour): later, records are missing that compaction took.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.engine import VERSION, Engine
from engine.events import Delete, Put
from engine.ref import Ref
from engine.update import Fragment
from streams.codec import change_summary, decode_change_set, encode_update, without_trace
from streams.domain import Fold
from streams.ports import Headers, Log, Outgoing, Record
from streams.topics import OPENING, OUTPUTS, PROGRESS, Topic, split_key
from streams.updates import decode_update

Position = tuple[int, int]
Topics = Mapping[Topic, Sequence[Record]]
_DOMAIN = "default"


@dataclass
class Audit:
    """`wrong` in words; the rest says how much was looked at."""

    wrong: list[str] = field(default_factory=list)
    offsets: int = 0
    records: int = 0
    repeats: Counter[Topic] = field(default_factory=Counter)
    """Records that consumers drop: a hung transaction made visible late writes the same ones again."""


async def read_topics(log: Log) -> dict[Topic, list[Record]]:
    """The log, its rejections and all outputs."""
    return {
        topic: [one async for batch in log.read(topic, 0) for one in batch]
        for topic in (Topic.CHANGES, Topic.REJECTED, *OUTPUTS)
    }


def audit(topics: Topics) -> Audit:
    """Whether the outputs follow the log: nothing lost, nothing twice, nothing out of order."""
    found = Audit(offsets=len(topics[Topic.CHANGES]))
    found.wrong += [f"offset {one.offset} of the log was rejected" for one in topics[Topic.REJECTED]]
    found.wrong += _needless(topics[Topic.CHANGES])
    indexes: dict[int, list[int]] = defaultdict(list)
    offsets = [one.offset for one in topics[Topic.CHANGES]]
    for topic in OUTPUTS:
        rows = _consumed(topic, topics[topic], found)
        found.records += len(rows)
        closing = [one for one in rows if _closes(one)]
        found.wrong += _difference(f"{topic.value}: closed", offsets, [position(one)[0] for one in closing])
        last: Position = (-1, -1)
        for one in rows:
            at = position(one)
            if at <= last:
                found.wrong.append(f"{topic.value}: {at} of {one.key!r} stands behind {last}")
            last = max(last, at)
            if topic is Topic.UPDATES or one not in closing:
                indexes[at[0]].append(at[1])
    for offset in offsets:
        numbers = sorted(indexes.pop(offset, []))
        if not numbers or numbers != list(range(len(numbers))):
            found.wrong.append(f"offset {offset} has the records {numbers}")
    found.wrong += [f"records of offset {offset}, which is not in the log" for offset in indexes]
    return found


def against(clean: Mapping[Topic, Sequence[Outgoing]], topics: Topics) -> list[str]:
    """Where the topics differ from a clean fold: key, value and headers of every record, in order."""
    wrong = []
    for topic in OUTPUTS:
        wanted = [(one.key, one.value, without_trace(one.headers)) for one in clean[topic]]
        there = [(one.key, one.value, without_trace(one.headers)) for one in _consumed(topic, topics[topic], Audit())]
        wrong += _difference(f"{topic.value}: against a clean replay", wanted, there)
    return wrong


def fold(changes: Sequence[Record], engine: Fold) -> dict[Topic, list[Outgoing]]:
    """What one fold of the log, never interrupted, writes."""
    written: dict[Topic, list[Outgoing]] = {topic: [] for topic in OUTPUTS}
    for one in changes:
        change_set = decode_change_set(one)
        update = engine.apply(change_set, one.offset)
        for record in encode_update(_DOMAIN, 0, update, {**change_summary(change_set), "engine": VERSION}):
            written[record.topic].append(record)
    return written


def fragments(engine: Engine) -> dict[str, Fragment]:
    """All that an engine wants served, by key."""
    return {name: one for name, one in engine.everything().fragments.set.items() if isinstance(one, Fragment)}


def _closes(record: Record) -> bool:
    """Whether it is the last record of an update on its output."""
    if record.topic is not Topic.UPDATES:
        return split_key(record.key or b"")[1] == PROGRESS
    value = decode_update(record)
    return value is None or value["part"] + 1 == value["parts"]


def position(record: Record) -> Position:
    """Where a record of an output stands."""
    return int(record.header("offset")), int(record.header("index"))


def _consumed(topic: Topic, records: Sequence[Record], found: Audit) -> list[Record]:
    """What a consumer acts on: of each key, only what stands behind the last that it saw."""
    kept: dict[bytes | None, dict[Position, tuple[bytes | None, Headers]]] = defaultdict(dict)
    rows = []
    for one in records:
        if split_key(one.key or b"")[1] == OPENING:
            continue
        seen, at, said = kept[one.key], position(one), (one.value, without_trace(one.headers))
        if seen and at <= max(seen):
            found.repeats[topic] += 1
            if seen.get(at) != said:
                found.wrong.append(f"{topic.value}: {at} of {one.key!r} comes again and says something else")
            continue
        seen[at] = said
        rows.append(one)
    return rows


def _needless(changes: Sequence[Record]) -> Iterator[str]:
    """A source appends what differs from the log, and nothing twice."""
    objects: dict[Ref, object] = {}
    ids: set[str] = set()
    for one in changes:
        if (number := one.header("ce_id")) in ids:
            yield f"the log has {number} twice, at offset {one.offset} again"
        ids.add(number)
        for change in decode_change_set(one).changes:
            if isinstance(change, Put):
                if objects.get(change.ref) == change.object:
                    yield f"offset {one.offset} puts {change.ref} as it is"
                objects[change.ref] = change.object
            elif isinstance(change, Delete) and objects.pop(change.ref, None) is None:
                yield f"offset {one.offset} deletes {change.ref}, which is not there"


def _difference(what: str, wanted: Sequence[object], there: Sequence[object]) -> list[str]:
    if list(wanted) == list(there):
        return []
    at = next((at for at, (one, other) in enumerate(zip(wanted, there, strict=False)) if one != other), None)
    if at is None:
        at = min(len(wanted), len(there))
    return [
        f"{what} {len(there)}, wanted {len(wanted)}; number {at}: {there[at : at + 1]}, wanted {wanted[at : at + 1]}"
    ]
