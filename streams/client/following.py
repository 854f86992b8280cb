"""The public topics as they change, for programs: a snapshot, then what follows; it writes nothing.

Whatever is handed over is whole updates, and names where to go on: who keeps that token with what it made of the update
loses and repeats nothing. Neither the engine nor faust is imported here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import orjson

from streams.client.values import ChangeSet, Node, NodeChanged, Route, Update, node
from streams.kafka import KafkaLog
from streams.ports import Log, LogBehind, Record
from streams.topics import Topic
from streams.updates import Whole
from streams.view import Batch, Place, follow_table

BEGINNING: Final = ""
"""Of `updates` and `changes`: all that there ever was."""
NOW: Final = "now"
"""Of `updates` and `changes`: only what comes."""

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
        hosts = [host for one in sides for host in (*one.get("hostnames", ()), one.get("hostname"))]
        return not self.host or not sides or self.host in hosts


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


def _source(source: Source | str) -> Source:
    """Of "kafka:9092", or "kafka:9092/PREFIX/PARTITION" where these are not as usual."""
    if isinstance(source, Source):
        return source
    brokers, _, rest = source.partition("/")
    prefix, _, partition = rest.partition("/")
    return Source(brokers, prefix or "penstock", int(partition or "0"))


async def nodes(log: Log, partition: int, where: Where, since: str = "") -> AsyncIterator[Change[Node]]:
    """As `graph`, of a log."""
    place = None
    if since:
        following, offset, index = _read("g", since, 3)
        place = Place(following, (offset, index))
    async for batch in follow_table(log, Topic.GRAPH, partition, place):
        change = _change(batch, where)
        if change.snapshot or change.set or change.removed:
            yield change


def _change(batch: Batch, where: Where) -> Change[Node]:
    named = {name: row for name, row in batch.rows.items() if where.is_named(name)}
    values = {name: one for name, row in named.items() if row is not None and (one := _node(name, row)) is not None}
    chosen = {name: one for name, one in sorted(values.items()) if where.holds(one)}
    gone = frozenset() if batch.snapshot else frozenset(named.keys() - chosen.keys())
    at = batch.place
    return Change(batch.progress, batch.snapshot, chosen, gone, f"g.{at.following}.{at.closed[0]}.{at.closed[1]}")


def _node(name: str, row: Record) -> Node | None:
    """None for what no resolver wrote, and for kinds to come."""
    try:
        return node(name, orjson.loads(row.value or b"null"))
    except ValueError:
        return None


async def update_events(log: Log, partition: int, since: str = BEGINNING) -> AsyncIterator[Event[Update]]:
    """As `updates`, of a log."""
    whole, last = Whole(), (-1, -1)

    def taken(record: Record) -> Update | None:
        nonlocal last
        # What a hung transaction repeats stands at no greater position.
        position = (int(record.header("offset", "-1")), int(record.header("index", "-1")))
        if position <= last:
            return None
        last = position
        found = next(iter(whole.take([record])), None)
        return Update.model_validate(found) if found is not None else None

    async for event in _events(log, Topic.UPDATES, partition, since, taken):
        yield event


async def change_set_events(log: Log, partition: int, since: str = BEGINNING) -> AsyncIterator[Event[ChangeSet]]:
    """As `changes`, of a log."""

    def taken(record: Record) -> ChangeSet | None:
        return ChangeSet.model_validate_json(record.value) if record.value is not None else None

    async for event in _events(log, Topic.CHANGES, partition, since, taken):
        yield event


async def _events(
    log: Log, topic: Topic, partition: int, since: str, taken: Callable[[Record], V | None]
) -> AsyncIterator[Event[V]]:
    letter = topic.value[0]
    first, end = await log.ends(topic, partition)
    start = end if since == NOW else _read(letter, since, 1)[0] if since else first
    if start > end:
        msg = f"{topic.value} ends at offset {end}, the token is of {start}: another log, or an older copy of it"
        raise LogBehind(msg)
    async for records in log.follow(topic, partition, start):
        for record in records:
            try:
                value = taken(record)
            except ValueError:  # ValidationError too
                continue  # Nothing of ours: the resolver passes it over as well.
            if value is not None:
                yield Event(value, f"{letter}.{record.offset + 1}")


def _read(letter: str, token: str, numbers: int) -> list[int]:
    """Raises UnknownToken."""
    kind, *parts = token.split(".")
    try:
        found = [int(one) for one in parts]
    except ValueError:
        found = []
    if kind != letter or len(found) != numbers:
        msg = f"{token!r} is no token of this stream: begin without one"
        raise UnknownToken(msg)
    return found
