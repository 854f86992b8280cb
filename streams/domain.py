"""One domain of the log: acquires it, folds change sets, writes what they changed; it knows no host.

Progress is written in the transaction of the outputs, so no offset is applied twice or skipped, whatever delivers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson
import structlog

from engine.changes import Garbage
from engine.events import ChangeSet
from engine.update import Delta, Fragment, Update
from streams.codec import (
    NewerSchema,
    change_summary,
    decode_change_set,
    decode_fragment,
    encode_update,
    progress_records,
)
from streams.ports import Log, LogError, Outgoing, Record, Writer
from streams.topics import OPENING, OUTPUTS, Topic, key
from streams.view import Table, read_table

_LOG = structlog.get_logger()
_BATCH = 200
"""Change sets that share a transaction: one each manages only a hundred a second (measured)."""


class Fold(Protocol):
    """What a domain needs of an engine."""

    offset: int

    def apply(self, change_set: ChangeSet, offset: int) -> Update: ...
    def load(self, state: Iterable[tuple[str, Any]]) -> None: ...
    def everything(self) -> Update: ...
    def state(self) -> dict[str, Any]: ...


class DomainStopped(LogError):  # noqa: N818
    """The domain must not go on: its last state stays served until a person acts."""


@dataclass(slots=True)
class _Held:
    """What is held while the domain is ours."""

    writer: Writer
    engine: Fold
    following: int
    """The next offset of penstock.changes that was not read."""


class Domain:
    """The resolver's work on one partition. `fold` makes an empty engine."""

    def __init__(self, log: Log, fold: Callable[[], Fold], *, name: str = "default", partition: int = 0) -> None:
        self._log = log
        self._fold = fold
        self._name = name
        self._partition = partition
        self._stack = AsyncExitStack()
        self._held: _Held | None = None
        self.wake_at: str | None = None

    @property
    def offset(self) -> int:
        """The last offset applied, -1 when none or not acquired."""
        return self._held.engine.offset if self._held is not None else -1

    async def acquire(self) -> None:
        """Fence others, read the fold state, catch up with the log, and emit only what differs.

        Raises Fenced, Unavailable, TopicMissing, or DomainStopped.
        """
        await self.release()
        writer = await self._stack.enter_async_context(self._log.writer(f"resolver-{self._name}"))
        # A transaction over every output partition first: one that a dying broker left hanging is closed by it,
        # and is then seen by the reads below (measured: 3 of 24 double kills left one).
        await writer.write([Outgoing(topic, self._partition, key(self._name, OPENING), b"{}") for topic in OUTPUTS])
        engine = self._fold()
        state = await read_table(self._log, Topic.STATE, self._partition)
        engine.load((name, orjson.loads(row.value or b"null")) for name, row in state.rows.items())
        progress = max(engine.offset, state.progress)
        first, end = await self._log.ends(Topic.CHANGES, self._partition)
        if progress >= end:
            msg = (
                f"the log of domain {self._name} ends at offset {end - 1}, but offset {progress} was already applied: "
                f"an older copy of the log was restored, or another one is connected. Bring back the log, or start "
                f"with an empty data directory (proxies keep what they serve)"
            )
            raise DomainStopped(msg)
        engine.offset = progress
        self._held = _Held(writer, engine, max(first, progress + 1))
        await self._catch_up()
        await self._reconcile()

    async def release(self) -> None:
        """Forget everything; the next owner reads it back."""
        self._held = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    async def apply(self, records: Sequence[Record]) -> None:
        """Fold records of penstock.changes that are above what was applied, in one transaction.

        Raises Fenced, Unavailable or DomainStopped: memory is then ahead of the log, and only `acquire` mends that.
        """
        held = self._held
        if held is None:
            msg = "a domain is applied to before it is acquired"
            raise RuntimeError(msg)
        outgoing: list[Outgoing] = []
        for record in records:
            if record.offset < held.following:
                continue
            held.following = record.offset + 1
            outgoing += self._records(held.engine, record)
            # A burst must not hold up heartbeats: other tasks get their turn between change sets.
            await asyncio.sleep(0)
        if outgoing:
            await held.writer.write(outgoing)

    def _records(self, engine: Fold, record: Record) -> list[Outgoing]:
        try:
            change_set = decode_change_set(record)
        except NewerSchema as error:
            raise DomainStopped(str(error)) from error
        except Garbage as error:
            _LOG.warning("a record was rejected", offset=record.offset, reason=str(error))
            return self._rejection(record, str(error))
        update = engine.apply(change_set, record.offset)
        for warning in update.warnings:
            _LOG.warning(warning, offset=record.offset)
        self.wake_at = update.wake_at
        return encode_update(self._name, self._partition, update, change_summary(change_set))

    def _rejection(self, record: Record, reason: str) -> list[Outgoing]:
        headers = (
            ("topic", record.topic.value.encode()),
            ("offset", str(record.offset).encode()),
            ("reason", reason.encode()),
        )
        rejected = Outgoing(Topic.REJECTED, self._partition, record.key, record.value, headers)
        return [rejected, *progress_records(self._name, self._partition, record.offset, "")]

    async def _catch_up(self) -> None:
        held = self._held
        if held is None:
            return
        async for records in self._log.read(Topic.CHANGES, self._partition, held.following):
            for first in range(0, len(records), _BATCH):
                await self.apply(records[first : first + _BATCH])

    async def _reconcile(self) -> None:
        """Emit the difference between what is wanted and what the output topics say."""
        held = self._held
        if held is None or held.engine.offset < 0:
            return
        wanted = held.engine.everything()
        state = await self._table(Topic.STATE)
        difference = replace(
            wanted,
            fragments=_fragments(wanted.fragments, await self._table(Topic.XDS)),
            nodes=_values(wanted.nodes, await self._table(Topic.GRAPH)),
            statuses=_values(wanted.statuses, await self._table(Topic.STATUS)),
            infra=_values(wanted.infra, await self._table(Topic.INFRA)),
            state=Delta(),
        )
        self.wake_at = wanted.wake_at
        if difference.fragments or difference.nodes or difference.statuses or difference.infra:
            summary = {"cluster": "", "source": "resolver", "actor": "penstock", "changes": [{"verb": "reconcile"}]}
            records = encode_update(self._name, self._partition, difference, summary)
            await held.writer.write(_behind(records, state.index + 1))

    async def _table(self, topic: Topic) -> Table:
        return await read_table(self._log, topic, self._partition)


def _fragments(wanted: Delta, emitted: Table) -> Delta:
    changed = {}
    for name, fragment in wanted.set.items():
        row = emitted.rows.get(name)
        if row is None or not isinstance(fragment, Fragment) or decode_fragment(row) != fragment:
            changed[name] = fragment
    return Delta(changed, frozenset(emitted.rows.keys() - wanted.set.keys()))


def _values(wanted: Delta, emitted: Table) -> Delta:
    changed = {}
    for name, value in wanted.set.items():
        row = emitted.rows.get(name)
        if row is None or orjson.loads(row.value or b"null") != orjson.loads(orjson.dumps(value, default=dict)):
            changed[name] = value
    return Delta(changed, frozenset(emitted.rows.keys() - wanted.set.keys()))


def _behind(records: list[Outgoing], index: int) -> list[Outgoing]:
    """A reconciliation stands at an offset that was already closed: its records move behind what is there."""
    return [
        one._replace(
            headers=tuple(
                (name, str(int(value) + index).encode()) if name == "index" else (name, value)
                for name, value in one.headers
            )
        )
        for one in records
    ]
