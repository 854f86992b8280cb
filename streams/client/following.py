"""The public topics as they change, for programs: a snapshot, then what follows; it writes nothing.

Whatever is handed over is whole updates, and names where to go on: who keeps that token with what it made of the update
loses and repeats nothing. Neither the engine nor faust is imported here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import orjson

from streams.client.values import ChangeSet, Node, NodeChanged, Route, Update, node
from streams.kafka import KafkaLog
from streams.landmarks import Landmark, is_there, landmark
from streams.ports import Log, LogBehind, Record
from streams.topics import Topic
from streams.updates import Whole
from streams.view import Batch, Place, follow_table

BEGINNING: Final = ""
"""Of `updates` and `changes`: all that there ever was."""
NOW: Final = "now"
"""Of `updates` and `changes`: only what comes."""
_TAIL: Final = 8
"""Offsets before the end among which the last record is looked for: owners and markers leave some without one."""
_NUMBER: Final = re.compile("-?[0-9]{1,20}")
_ROWS: Final = 50
"""Read in one go."""
_ANEW: Final = "Begin without a token"

N = TypeVar("N", bound=Node)
V = TypeVar("V", Update, ChangeSet)


class UnknownToken(ValueError):  # noqa: N818
    """No token of the stream: begin without one."""


@dataclass(frozen=True, slots=True)
class Change(Generic[N]):
    """What became of nodes up to an offset of the log. A `snapshot` is all there are: forget whatever you knew.

    `removed` may name nodes that were not told of: ones that the filter does not let by.
    """

    offset: int
    snapshot: bool
    set: Mapping[str, N]
    removed: frozenset[str]
    token: str


@dataclass(frozen=True, slots=True)
class Event(Generic[V]):
    """An update or change set, and where to go on behind it."""

    value: V
    token: str


@dataclass(frozen=True, slots=True)
class Start:
    """Where events begin, and the position of what was told before; `token` leads there again."""

    following: int
    last: tuple[int, int]
    token: str


_NOTHING: Final = (-1, -1)


@dataclass(frozen=True, slots=True)
class Where:
    """Which nodes: those of a namespace, of a host (as a route has it), of a kind; "" for any."""

    namespace: str = ""
    host: str = ""
    kind: str = ""

    def is_named(self, name: str) -> bool:
        """Whether a name is of that kind and namespace."""
        kind, *ref = name.split("/")
        return self.kind in ("", kind) and self.namespace in ("", ref[3] if len(ref) > 3 else "")

    def holds(self, value: Node) -> bool:
        """Whether a node that is so named has the host."""
        if not self.host:
            return True
        return self.host in getattr(value, "hostnames", ()) or getattr(value, "hostname", "") == self.host

    def touches(self, change: NodeChanged) -> bool:
        """Whether a node has it, or had it."""
        if not self.is_named(change.node):
            return False
        sides = [one for one in (change.before, change.after) if one is not None]
        return not self.host or not sides or any(self.host in _hosts(one) for one in sides)


def _hosts(node: Mapping[str, Any]) -> list[Any]:
    """Of a node as an update has it: nobody looked at what stands in it."""
    listed = node.get("hostnames")
    return [node.get("hostname"), *(listed if isinstance(listed, list) else ())]


ANYWHERE: Final = Where()


@dataclass(frozen=True, slots=True)
class Source:
    """Which log: brokers as host:port, the topics' prefix, the domain's partition, aiokafka's settings of security."""

    brokers: str
    prefix: str = "penstock"
    partition: int = 0
    security: Mapping[str, Any] = field(default_factory=dict)

    def log(self) -> Log:
        """The log itself."""
        return KafkaLog(self.brokers, self.prefix, self.security)


async def routes(source: Source | str, where: Where = ANYWHERE, since: str = "") -> AsyncIterator[Change[Route]]:
    """Routes as they are, then each change of them, for ever. Raises LogError, or UnknownToken for `since`."""
    found = _source(source)
    only = Where(where.namespace, where.host, "route")
    async for change in nodes(found.log(), found.partition, only, since):
        chosen = {name: one for name, one in change.set.items() if isinstance(one, Route)}
        yield Change(change.offset, change.snapshot, chosen, change.removed, change.token)


async def graph(source: Source | str, where: Where = ANYWHERE, since: str = "") -> AsyncIterator[Change[Node]]:
    """All nodes, as `routes`."""
    found = _source(source)
    async for change in nodes(found.log(), found.partition, where, since):
        yield change


async def updates(source: Source | str, since: str = BEGINNING) -> AsyncIterator[Event[Update]]:
    """What each offset changed, whole. Raises LogError, or UnknownToken for `since`."""
    found = _source(source)
    async for event in update_events(found.log(), found.partition, since):
        yield event


async def changes(source: Source | str, since: str = BEGINNING) -> AsyncIterator[Event[ChangeSet]]:
    """The records of the log: large change sets are several. Raises LogError, or UnknownToken for `since`."""
    found = _source(source)
    async for event in change_set_events(found.log(), found.partition, since):
        yield event


async def updates_now(source: Source | str) -> str:
    """The token of `updates` for what comes from now on: keep it before the first one comes. Raises LogError."""
    found = _source(source)
    return (await begin(found.log(), Topic.UPDATES, found.partition, NOW)).token


async def changes_now(source: Source | str) -> str:
    """As `updates_now`, of `changes`."""
    found = _source(source)
    return (await begin(found.log(), Topic.CHANGES, found.partition, NOW)).token


def _source(source: Source | str) -> Source:
    """Of "kafka:9092", or "kafka:9092/PREFIX/PARTITION" where these are not as usual."""
    if isinstance(source, Source):
        return source
    brokers, _, rest = source.partition("/")
    prefix, _, partition = rest.partition("/")
    return Source(brokers, prefix or "penstock", int(partition or "0"))


async def nodes(log: Log, partition: int, where: Where, since: str = "") -> AsyncIterator[Change[Node]]:
    """As `graph`, of a log."""
    async for batch in batches(log, partition, since):
        found = {name: value async for name, value in told(batch, where)}
        chosen = {name: value for name, value in found.items() if value is not None}
        gone = frozenset(found.keys() - chosen.keys())
        if batch.snapshot or found:
            yield Change(batch.progress, batch.snapshot, chosen, gone, token_of(batch.place))


async def batches(log: Log, partition: int, since: str = "") -> AsyncIterator[Batch]:
    """The rows of the graph as `nodes` has them, before they are read. Raises LogError, or UnknownToken."""
    place = None
    if since:
        following, offset, index, *mark = _read("g", since, 3, 5)
        place = Place(following, (offset, index), Landmark(*mark) if mark else None)
    async for batch in follow_table(log, Topic.GRAPH, partition, place):
        yield batch


def token_of(place: Place) -> str:
    """The token that leads there."""
    numbers = (place.following, *place.closed, *(place.mark or ()))
    return ".".join(["g", *map(str, numbers)])


async def told(batch: Batch, where: Where) -> AsyncIterator[tuple[str, Node | None]]:
    """The nodes of a batch one by one, None for what is none any more, or not there. Each row is let go of.

    Others get their turn in between: a domain's rows take seconds to read.
    """
    for number, name in enumerate(sorted(batch.rows)):
        row = batch.rows.pop(name)
        if number % _ROWS == _ROWS - 1:
            await asyncio.sleep(0)
        if not where.is_named(name):
            continue
        value = _node(name, row) if row is not None else None
        if value is not None and where.holds(value):
            yield name, value
        elif not batch.snapshot:
            yield name, None


def _node(name: str, row: Record) -> Node | None:
    """None for what no resolver wrote, and for kinds to come."""
    try:
        return node(name, orjson.loads(row.value or b"null"))
    except ValueError:
        return None


async def update_events(log: Log, partition: int, since: str | Start = BEGINNING) -> AsyncIterator[Event[Update]]:
    """As `updates`, of a log."""
    start = since if isinstance(since, Start) else await begin(log, Topic.UPDATES, partition, since)
    whole, last = Whole(), start.last

    def taken(record: Record) -> Update | None:
        nonlocal last
        # What a hung transaction repeats stands at no greater position.
        position = _position(record)
        if position <= last:
            return None
        last = position
        found = next(iter(whole.take([record])), None)
        return Update.model_validate(found) if found is not None else None

    async for event in _events(log, Topic.UPDATES, partition, start, taken):
        yield event


async def change_set_events(
    log: Log, partition: int, since: str | Start = BEGINNING
) -> AsyncIterator[Event[ChangeSet]]:
    """As `changes`, of a log."""
    start = since if isinstance(since, Start) else await begin(log, Topic.CHANGES, partition, since)

    def taken(record: Record) -> ChangeSet | None:
        return ChangeSet.model_validate_json(record.value) if record.value is not None else None

    async for event in _events(log, Topic.CHANGES, partition, start, taken):
        yield event


async def _events(
    log: Log, topic: Topic, partition: int, start: Start, taken: Callable[[Record], V | None]
) -> AsyncIterator[Event[V]]:
    async for records in log.follow(topic, partition, start.following):
        for record in records:
            try:
                value = taken(record)
            except ValueError:  # ValidationError too
                continue  # Nothing of ours: the resolver passes it over as well.
            if value is not None:
                yield Event(value, _behind(record))


async def begin(log: Log, topic: Topic, partition: int, since: str) -> Start:
    """Where `since` leads. Raises LogError, LogBehind where what was missed cannot be told, or UnknownToken."""
    letter = topic.value[0]
    first, end = await log.ends(topic, partition)
    if since == NOW:
        return await _now(log, topic, partition, (first, end))
    if not since:
        return Start(first, _NOTHING, f"{letter}.{first}")
    following, *more = _read(letter, since, 1, 4 if topic is Topic.UPDATES else 2)
    if following > end:
        msg = f"{topic.value} ends at offset {end}, the token is of {following}: another log, or an older copy of it"
        raise LogBehind(msg)
    if following < first:
        msg = (
            f"{topic.value} begins at offset {first}, the token is of {following}: what is between is deleted. {_ANEW}"
        )
        raise LogBehind(msg)
    if more and not await is_there(log, topic, partition, Landmark(following - 1, more[-1])):
        msg = (
            f"{topic.value} has something else at offset {following - 1} than when the token was given: another log, "
            f"or one made anew. {_ANEW}"
        )
        raise LogBehind(msg)
    return Start(following, (more[0], more[1]) if len(more) > 1 else _NOTHING, since)


async def _now(log: Log, topic: Topic, partition: int, ends: tuple[int, int]) -> Start:
    """Behind the last record, so that whoever comes back with its token is known to have seen this log."""
    first, end = ends
    told: Record | None = None
    async for records in log.read(topic, partition, max(first, end - _TAIL)):
        for record in records:
            # The greatest position, not the last: a hung transaction's repetition may stand behind it.
            if record.offset < end and (told is None or _position(record) >= _position(told)):
                told = record
    if told is None:
        return Start(end, _NOTHING, f"{topic.value[0]}.{end}")
    return Start(told.offset + 1, _position(told), _behind(told))


def _behind(record: Record) -> str:
    """The token of what comes behind a record."""
    position = _position(record) if record.topic is Topic.UPDATES else ()
    numbers = (record.offset + 1, *position, landmark(record).checksum)
    return ".".join([record.topic.value[0], *map(str, numbers)])


def _position(record: Record) -> tuple[int, int]:
    """Of an update's record; of all others that they have none."""
    try:
        return int(record.header("offset", "-1")), int(record.header("index", "-1"))
    except ValueError:
        return _NOTHING


def _read(letter: str, token: str, *numbers: int) -> list[int]:
    """Raises UnknownToken for what has none of these numbers of numbers."""
    kind, *parts = token.split(".")
    found = [int(one) for one in parts if _NUMBER.fullmatch(one)]
    if kind != letter or len(found) not in numbers or len(found) < len(parts):
        msg = f"{token!r} is no token of this stream: begin without one"
        raise UnknownToken(msg)
    return found
