"""What happened, newest first: updates of penstock.updates that are asked for, found by the index where there is one.

Read is what the index names, and what is too new for it; never all of the log, unless no index is there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from engine.history.touched import touched
from engine.ref import Ref
from streams.index import Block, actor_term, blocks, host_term, is_of_cluster, namespace_term, object_term, objects_of
from streams.ports import Log, Record
from streams.topics import Topic
from streams.updates import Whole, decode_update

_POSITIONS_AN_UPDATE: Final = 4
"""That an update of one part takes at most, in a transaction of its own: itself, its progress, the marker."""
_PIECE: Final = 8_192
"""Positions that are read at once of what no block is of, from the end back."""

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: all that is given must hold. `since` and `until` are offsets of the log, both included."""

    object: tuple[str, str, str, str | None] | None = None
    """Group, kind, name, and the namespace where it was given."""
    namespace: str | None = None
    host: str | None = None
    actor: str | None = None
    cluster: str = ""
    since: int = 0
    until: int | None = None

    def terms(self) -> list[str]:
        """What the index is asked for."""
        found = []
        if self.object is not None:
            found.append(object_term(*self.object[:3]))
        for value, term in ((self.namespace, namespace_term), (self.host, host_term), (self.actor, actor_term)):
            found += [] if value is None else [term(value)]
        return found

    def takes(self, update: Value) -> bool:
        """Whether an update is one of them."""
        if update["offset"] < self.since or (self.until is not None and update["offset"] > self.until):
            return False
        if not is_of_cluster(update, self.cluster) or self.actor not in (None, update.get("actor")):
            return False
        refs = objects_of(update)
        if self.object is not None and not any(self._is_meant(ref) for ref in refs):
            return False
        if self.namespace is not None and all(ref.namespace != self.namespace for ref in refs):
            return False
        if self.host is None:
            return True
        told = touched(update["downstream"])
        return self.host in told.hosts or self.host in told.hosts_gone

    def _is_meant(self, ref: Ref) -> bool:
        group, kind, name, namespace = self.object or ("", "", "", None)
        return (ref.group, ref.kind, ref.name) == (group, kind, name) and namespace in (None, ref.namespace)


async def history(
    log: Log, partition: int, asked: Asked, progress: Callable[[int], None] = lambda _: None
) -> AsyncGenerator[Value]:
    """The updates that are asked for, newest first; `progress` hears the offset down to which all was looked at.

    Raises LogError.
    """
    first, before = await log.ends(Topic.UPDATES, partition)
    looking = _Looking(log, partition, asked, progress)
    async with aclosing(blocks(log, partition)) as found:
        async for block in found:
            async for one in looking.all_of(max(first, block.following), before):
                yield one
            before = block.first
            if block.highest < asked.since:
                return
            if asked.until is None or block.lowest <= asked.until:
                async for one in looking.named_by(block):
                    yield one
            progress(block.lowest)
            if before <= first:
                return
    async for one in looking.all_of(first, before):
        yield one


async def said(log: Log, partition: int, ref: Ref, generation: int, until: int) -> Value | None:
    """The last update up to an offset that put a generation of an object; None when it is not kept. Raises LogError."""
    asked = Asked((ref.group, ref.kind, ref.name, ref.namespace), cluster=ref.cluster, until=until)
    put = {"verb": "put", "ref": str(ref), "generation": generation}
    async with aclosing(history(log, partition, asked)) as found:
        async for update in found:
            if any(put.items() <= change.items() for change in update["changes"]):
                return update
    return None


async def latest(
    log: Log, partition: int, limit: int, takes: Callable[[Value], bool] = lambda _: True
) -> tuple[list[Value], int]:
    """The last `limit` updates that it `takes`, oldest first, and the position behind all of them. Raises LogError.

    Only the end of the topic is read where that is enough.
    """
    first, end = await log.ends(Topic.UPDATES, partition)
    limit = min(limit, end)
    span = _POSITIONS_AN_UPDATE * limit
    while True:
        start = max(first, end - span)
        found: deque[Value] = deque(maxlen=limit)
        whole = Whole()
        async for records in log.read(Topic.UPDATES, partition, start):
            found.extend(one for one in whole.take(one for one in records if one.offset < end) if takes(one))
        if len(found) == limit or start <= first:
            return list(found), end
        span *= 8


@dataclass(frozen=True, slots=True)
class _Looking:
    log: Log
    partition: int
    asked: Asked
    progress: Callable[[int], None]

    async def named_by(self, block: Block) -> AsyncGenerator[Value]:
        """Of what a block is of the updates that are asked for."""
        wanted = self.asked.terms()
        if not wanted:
            async for one in self.all_of(block.first, block.following):
                yield one
            return
        places = sorted(set.intersection(*(set(block.at(term)) for term in wanted)), reverse=True)
        if not places:
            return
        async with aclosing(self.log.pick(Topic.UPDATES, self.partition, places)) as picked:
            async for record in picked:
                update = await self._whole(record)
                if update is not None and self.asked.takes(update):
                    yield update

    async def _whole(self, record: Record) -> Value | None:
        """The update that begins with a record; of many parts the others are read."""
        value = decode_update(record)
        if value is None or value["parts"] == 1:
            return next(Whole().take((record,)), None)
        whole = Whole()
        async for records in self.log.read(Topic.UPDATES, self.partition, record.offset):
            for update in whole.take(records):
                return update
        return None

    async def all_of(self, first: int, end: int) -> AsyncGenerator[Value]:
        """Of the positions `first` to before `end` what is asked for, read piece by piece from the end."""
        while end > first:
            start = max(first, end - _PIECE)
            found = await self._piece(start, end)
            for update in reversed(found):
                if self.asked.takes(update):
                    yield update
            if found:
                lowest = min(one["offset"] for one in found)
                if lowest < self.asked.since:
                    return
                self.progress(lowest)
            end = start

    async def _piece(self, start: int, end: int) -> list[Value]:
        """The updates that begin within."""
        whole = Whole()
        found: list[Value] = []
        async for records in self.log.read(Topic.UPDATES, self.partition, start):
            for record in records:
                if record.offset >= end and not _goes_on(record):
                    return found
                found += whole.take((record,))
        return found


def _goes_on(record: Record) -> bool:
    """Whether it is a further part of an update that began before."""
    value = decode_update(record)
    return value is None or value["part"] > 0
