"""A tiny engine of the real one's interface, and logs to play it on."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from engine.events import Change, ChangeSet, Delete, EngineChanged, Put, Tick
from engine.ref import Ref, parse_ref
from engine.update import Delta, Fragment, FragmentKey, FragmentKind, Update, parse_fragment_key
from streams.codec import dumps, encode_change_set
from streams.kafka import KafkaLog
from streams.memory import MemoryLog
from streams.ports import Log, Outgoing, Record, Unavailable
from streams.topics import Topic, topic_name
from streams.view import read_table

GATEWAY = Ref("local", "gateway.networking.k8s.io", "Gateway", "default", "gw")
TIME = "2026-11-24T12:00:00.000Z"
_SECONDS = 240.0
"""For what hangs only: brokers start and fail over on machines that do much else."""


def thing(name: str, cluster: str = "local") -> Ref:
    return Ref(cluster, "", "Thing", "default", name)


def put(name: str, value: Any, generation: int = 1) -> Put:
    return Put(thing(name), {"metadata": {"name": name, "generation": generation}, "value": value})


def change_set(*changes: Change, name: str = "", time: str = TIME) -> ChangeSet:
    return ChangeSet("default", "local", "test", name or uuid.uuid4().hex, time, "me", changes)


def fragment(ref: Ref, value: Any, flavour: str = "") -> Fragment:
    payload = dumps({"name": ref.name, "value": value, "flavour": flavour})
    version = hashlib.blake2b(payload, digest_size=16).hexdigest()
    return Fragment(FragmentKey(GATEWAY, FragmentKind.CLUSTER, ref.name), payload, version, provenance=((ref, 1),))


class Late(MemoryLog):
    """As the real one: a commit is answered before its marker stands. What the resolver appends is not read at once."""

    unmarked: int | None = None

    async def _commit(self, transactional_id: str, epoch: int, records: Sequence[Outgoing]) -> list[int]:
        offsets = await super()._commit(transactional_id, epoch, records)
        if transactional_id.startswith("resolver-") and records[0].topic is Topic.CHANGES:
            self.unmarked = offsets[0]
        return offsets

    async def ends(self, topic: Topic, partition: int) -> tuple[int, int]:
        first, end = await super().ends(topic, partition)
        return first, end if topic is not Topic.CHANGES or self.unmarked is None else self.unmarked

    async def read(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        unmarked = None
        if topic is Topic.CHANGES:
            unmarked, self.unmarked = self.unmarked, None
        async for batch in super().read(topic, partition, start):
            yield [one for one in batch if unmarked is None or one.offset < unmarked]


class DefectError(RuntimeError):
    """What a broken engine raises."""


class ToyEngine:
    """One fragment, node, status and infra row a thing. `flavour` plays another version; "defect" is a value it dies of."""

    def __init__(self, flavour: str = "") -> None:
        self.offset = -1
        self._flavour = flavour
        self._rows: dict[str, Any] = {}

    def load(self, state: Iterable[tuple[str, Any]]) -> list[str]:
        self._rows = dict(state)
        self.offset = int(self._rows.get("clock", {}).get("offset", -1))
        return []

    def state(self) -> dict[str, Any]:
        return dict(self._rows)

    def everything(self) -> Update:
        outputs = [self._outputs(parse_ref(key.removeprefix("resource/"))) for key in self._resources()]
        return self._update({key: value for row in outputs for key, value in row.items()}, frozenset(), {})

    def apply(self, change_set: ChangeSet, offset: int) -> Update:
        self.offset = offset
        state: dict[str, Any] = {"clock": {"offset": offset, "time": change_set.time}}
        outputs: dict[str, Any] = {}
        removed: set[str] = set()
        for change in change_set.changes:
            match change:
                case Put(ref, object_):
                    if object_["value"] == "defect":
                        raise DefectError
                    state[f"resource/{ref}"] = {"object": object_, "offset": offset}
                    removed.discard(str(ref))
                    self._rows |= state
                    outputs |= self._outputs(ref)
                case Delete(ref):
                    state.pop(f"resource/{ref}", None)
                    self._rows.pop(f"resource/{ref}", None)
                    for key in self._names(ref):
                        outputs.pop(key, None)
                    removed.add(str(ref))
                case EngineChanged(version):
                    state["engine"] = {"version": version}
                case Tick():
                    state["ticked"] = {"offset": offset}
        self._rows |= state
        return self._update(outputs, frozenset(removed), state)

    def _resources(self) -> list[str]:
        return [key for key in self._rows if key.startswith("resource/")]

    def _names(self, ref: Ref) -> tuple[str, str]:
        return str(FragmentKey(GATEWAY, FragmentKind.CLUSTER, ref.name)), str(ref)

    def _outputs(self, ref: Ref) -> dict[str, Any]:
        value = self._rows[f"resource/{ref}"]["object"]["value"]
        key, name = self._names(ref)
        return {key: fragment(ref, value, self._flavour), name: {"value": value}}

    def _update(self, outputs: dict[str, Any], removed: frozenset[str], state: dict[str, Any]) -> Update:
        fragments = {key: one for key, one in outputs.items() if isinstance(one, Fragment)}
        others = {key: one for key, one in outputs.items() if key not in fragments}
        gone = frozenset(str(FragmentKey(GATEWAY, FragmentKind.CLUSTER, parse_ref(one).name)) for one in removed)
        rows = frozenset(f"resource/{one}" for one in removed)
        wakes = [self._rows[key]["object"]["value"] for key in self._resources()]
        wake = next(
            (one["wake"] for one in wakes if isinstance(one, dict) and "wake" in one and "ticked" not in self._rows),
            None,
        )
        return Update(
            self.offset,
            TIME,
            Delta(fragments, gone),
            Delta(others, removed),
            Delta(others, removed),
            Delta(others, removed),
            Delta(state, rows),
            wake,
        )


async def append(log: Log, *sets: ChangeSet, source: str = "test") -> None:
    """Each change set in a transaction of its own."""
    async with log.writer(f"source-{source}") as writer:
        for one in sets:
            await writer.write(encode_change_set(one))


async def marked(log: Log, topic: Topic) -> None:
    """Wait until all that was written can be read: a commit is answered a moment before its marker stands."""
    if not isinstance(log, KafkaLog):
        return
    written = await log.written(topic, 0)

    async def question() -> bool:
        return (await log.ends(topic, 0))[1] >= written

    await until(question)


async def records(log: Log, topic: Topic) -> list[Record]:
    await marked(log, topic)
    return [one async for batch in log.read(topic, 0) for one in batch]


async def things(log: Log, topic: Topic = Topic.XDS) -> dict[str, bytes | None]:
    """The rows of an output topic as a consumer sees them."""
    await marked(log, topic)
    return {key: row.value for key, row in (await read_table(log, topic, 0)).rows.items()}


def wanted(values: dict[str, Any], flavour: str = "") -> dict[str, bytes]:
    """What `things` must be when these are the values of all things."""
    made = [fragment(thing(name), value, flavour) for name, value in values.items()]
    return {str(one.key): one.payload for one in made}


async def write_once_taken(log: Log, *some: Outgoing) -> None:
    """Write to a broker that was just started: for some seconds nobody leads its partitions. It may be there twice.

    It can be read then: whoever ends the broker now leaves no transaction without its marker.
    """

    async def question() -> bool:
        try:
            async with log.writer("w") as writer:
                await writer.write(some)
        except Unavailable:
            return False
        return True

    await until(question)
    for topic in {one.topic for one in some}:
        await marked(log, topic)


async def until(question: Callable[[], Awaitable[bool]], seconds: float = _SECONDS) -> None:
    """Wait until an awaited question is true; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not await question():
            await asyncio.sleep(0.02)


async def shows(log: Log, values: dict[str, Any], seconds: float = _SECONDS) -> None:
    """Wait until the emitted fragments are those of these values."""

    async def question() -> bool:
        return await things(log) == wanted(values)

    try:
        await until(question, seconds)
    except TimeoutError:
        assert await things(log) == wanted(values)


@asynccontextmanager
async def kafka_log(broker: str) -> AsyncIterator[KafkaLog]:
    """A log with topics of its own on the session's broker."""
    log = KafkaLog(broker, f"t{uuid.uuid4().hex[:8]}")
    await log.create_topics(1)
    yield log


async def forget(log: KafkaLog, topic: Topic, before: int) -> None:
    """Nothing below an offset is kept any more, as retention does it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=log.brokers)
    await admin.start()
    await admin.delete_records({TopicPartition(topic_name(topic, log.prefix), 0): RecordsToDelete(before_offset=before)})
    await admin.close()


def fragment_names(rows: Iterable[str]) -> list[str]:
    return sorted(parse_fragment_key(key).name for key in rows)
