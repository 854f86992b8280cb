"""Ends transactions that a killed broker left without their markers; it writes nothing where none hangs.

Seen with Apache Kafka 4.3.1 as a single node: killed between a commit's acknowledgement and its markers, it comes back,
loads the coordinator, then fences itself for a moment; markers that are due just then find no leader and are skipped
("likely deleted already") while the commit is noted as complete. Nobody who reads committed records sees anything
behind that offset any more, until the same writer commits again on that partition: so that is what is done here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence

import structlog

from engine.events import ChangeSet
from streams.clock import now
from streams.codec import encode_change_set
from streams.kafka import KafkaLog
from streams.ports import Outgoing
from streams.topics import OPENING, OUTPUTS, Topic, key

_LOG = structlog.get_logger()
_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.5

Writers = Mapping[str, Sequence[Topic]]
"""Transactional ids, and the topics that each writes."""


def writers(domain: str, clusters: Iterable[str]) -> Writers:
    """All that write transactions for a domain."""
    to_the_log = [f"source-{domain}-{cluster}" for cluster in clusters] + [f"clock-{domain}", f"publisher-{domain}"]
    return {
        f"resolver-{domain}": (*OUTPUTS, Topic.REJECTED),
        f"convergence-{domain}": (Topic.CONVERGENCE,),
        **dict.fromkeys(to_the_log, (Topic.CHANGES,)),
    }


async def mend(
    log: KafkaLog, found: Writers, domain: str, partition: int, patience: float = _PATIENCE_SECONDS
) -> set[Topic]:
    """Wait until all that was written so far can be read; what still cannot be after `patience` seconds hangs.

    Not while the only one who writes there writes on: a whole domain's update is one transaction, and takes long.
    The writer that left it is fenced and writes a transaction that says nothing, whose markers end both. A living one
    that is fenced takes over again. Answers the topics on which one hung. Raises LogError.
    """
    topics = {topic for touched in found.values() for topic in touched}
    written = {topic: await log.written(topic, partition) for topic in sorted(topics)}
    hanging = await _unreadable(log, found, written, partition, patience)
    mended = set(hanging)
    for name, touched in found.items():
        if hanging.isdisjoint(touched):
            continue
        _LOG.warning("a transaction was left hanging by the broker: it is ended", writer=name, topics=sorted(hanging))
        nothing = [one for topic in sorted(hanging & set(touched)) for one in _nothing(topic, domain, partition)]
        async with log.writer(name) as writer:
            await writer.write(nothing)
        left = {topic: written[topic] for topic in hanging}
        hanging = await _unreadable(log, found, left, partition, _LOOK_SECONDS)
    return mended


async def _unreadable(
    log: KafkaLog, found: Writers, written: Mapping[Topic, int], partition: int, patience: float
) -> set[Topic]:
    """Where committed readers do not come as far as what was written; asked until there is none, or patience ends.

    Patience is counted in looks: where this process stood still itself, no writer can be blamed for the time.
    """
    looks = 1 + math.ceil(patience / _LOOK_SECONDS)
    left = dict.fromkeys(written, looks)
    seen: dict[Topic, int] = {}
    while True:
        for topic in sorted(left):
            _, end = await log.ends(topic, partition)
            if end >= written[topic]:
                del left[topic]
        owned = {topic: _only(found, topic) for topic in left}
        grown = await _grown(log, {one for topics in owned.values() for one in topics}, partition, seen)
        left = {topic: looks if not grown.isdisjoint(owned[topic]) else many - 1 for topic, many in left.items()}
        if not left or 0 in left.values():
            return {topic for topic, many in left.items() if not many}
        await asyncio.sleep(_LOOK_SECONDS)


def _only(found: Writers, topic: Topic) -> Sequence[Topic]:
    """The topics of the only one who writes to this one; none where there are several: any of them may be the one."""
    ways = [touched for touched in found.values() if topic in touched]
    return ways[0] if len(ways) == 1 else ()


async def _grown(log: KafkaLog, topics: Iterable[Topic], partition: int, seen: dict[Topic, int]) -> set[Topic]:
    """Where anything was written, committed or not, since it was `seen`; nowhere when that is the first time."""
    now = {topic: await log.written(topic, partition) for topic in sorted(topics)}
    grown = {topic for topic, end in now.items() if end > seen.get(topic, end)}
    seen |= now
    return grown


def _nothing(topic: Topic, domain: str, partition: int) -> list[Outgoing]:
    """A record that every reader of the topic passes over."""
    if topic is Topic.CHANGES:
        time = now()
        return encode_change_set(ChangeSet(domain, "", "broker", f"mended-{time}", time, "penstock", ()), partition)
    value = b"{}" if topic in OUTPUTS else None
    return [Outgoing(topic, partition, key(domain, OPENING), value)]
