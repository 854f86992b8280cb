"""History from the index is what reading every update gives, and reads no more than the index names."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from random import Random
from typing import Any

import pytest

from engine.engine import VERSION, Engine
from engine.events import Change, ChangeSet, Override, Pin, Refused, Tick, Unpin
from engine.seal import KEY_BYTES, Sealer
from streams import index
from streams.codec import encode_change_set
from streams.domain import Domain, DomainOptions
from streams.history import Asked, history
from streams.index import Block, decode_block, encode_block, indexed, object_term, terms
from streams.memory import MemoryLog
from streams.ports import Log, LogError, Outgoing, Record
from streams.projections.index import index_if_due
from streams.topics import Topic
from streams.updates import Whole
from tests.benchmarks.history_world import change_sets, write
from tests.support.manifests import delete, gateway, route, service

_ROUTE = ("gateway.networking.k8s.io", "HTTPRoute")


class Counting(MemoryLog):
    """How many records of penstock.updates were read."""

    reads = 0

    async def read(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        async for records in super().read(topic, partition, start):
            self.reads += len(records) if topic is Topic.UPDATES else 0
            yield records

    async def pick(self, topic: Topic, partition: int, offsets: Iterable[int]) -> AsyncGenerator[Record]:
        async for record in super().pick(topic, partition, offsets):
            self.reads += topic is Topic.UPDATES
            yield record


async def resolved(log: Log, many: int = 60) -> None:
    """Thirty routes of as many hosts that come, change and go, by three actors."""
    chance, there = Random(3), dict[str, Any]()
    found: list[Any] = [gateway(), service("s0")]
    for number in range(many):
        name = f"r{chance.randrange(30)}"
        if name in there and chance.random() < 0.3:
            found.append(delete(there.pop(name)))
        else:
            there[name] = route(name, "s0", f"/{number}", number + 1, hostnames=[f"{name}.example.com"])
            found.append(there[name])
    async with log.writer("source") as source:
        for number, one in enumerate(found):
            at = f"2026-11-24T14:{number // 60:02d}:{number % 60:02d}.000Z"
            actor = f"team-{number % 3}"
            change_set = ChangeSet("default", "local", "files", str(number), at, actor, (one,))
            await source.write(encode_change_set(change_set))
    domain = Domain(log, lambda: Engine(Sealer(bytes(KEY_BYTES))))
    await domain.acquire()
    await domain.release()


async def everything(log: Log) -> list[dict[str, Any]]:
    whole = Whole()
    return [one async for records in log.read(Topic.UPDATES, 0) for one in whole.take(records)][::-1]


async def answered(log: Log, asked: Asked) -> list[dict[str, Any]]:
    return [one async for one in history(log, 0, asked)]


ASKED = [
    Asked(),
    Asked((*_ROUTE, "r3", None)),
    Asked((*_ROUTE, "r3", "default")),
    Asked((*_ROUTE, "r3", "other")),
    Asked(("", "Service", "s0", None)),
    Asked(host="r7.example.com"),
    Asked(host="nobody.example.com"),
    Asked(actor="team-1"),
    Asked(namespace="default", actor="team-2", host="r7.example.com"),
    Asked(namespace="other"),
    Asked(cluster="other"),
    Asked(since=40, until=80),
    Asked((*_ROUTE, "r3", None), since=20, until=90),
    Asked(until=10),
    Asked(since=10**6),
]


@pytest.mark.parametrize("every", [3, 7, 1_000])
async def test_the_index_answers_what_reading_all_gives(log: Log, every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "EVERY", every)
    monkeypatch.setattr("streams.projections.index.EVERY", every)
    await resolved(log)
    at = await index_if_due(log, "default", 0, -1)
    assert (at > 0) == (every < 1_000)
    assert await index_if_due(log, "default", 0, at) == at, "another replica looks"
    updates = await everything(log)
    for asked in ASKED:
        assert await answered(log, asked) == [one for one in updates if asked.takes(one)], asked


async def test_what_ends_by_a_name_of_its_own_is_of_the_objects_that_it_changed() -> None:
    """An unpin and a tick name no object; a refusal says where one is written."""
    log, gw, one = MemoryLog(), gateway(), route("r", "s0", "/1", 1)
    newer = route("r", "s0", "/2", 2)
    until = "2026-11-24T14:30:00.000Z"
    told: list[tuple[str, str, tuple[Change, ...]]] = [
        ("files", "local", (gw, service("s0"), one)),
        ("files", "local", (newer,)),
        ("control", "", (Pin("p", None, 0, "why"), Override("p", one.ref, one.object))),
        ("control", "", (Unpin("p"),)),
        ("control", "", (Pin("q", gw.ref, 0, "why", until),)),
        ("clock", "", (Tick(),)),
        ("files", "local", (Refused("r.yaml:1", one.ref, "no YAML"),)),
        ("files", "other", (service("x"),)),
    ]
    async with log.writer("source") as source:
        for number, (who, cluster, changes) in enumerate(told):
            at = f"2026-11-24T14:{number * 8:02d}:00.000Z"
            said = ChangeSet("default", cluster, who, str(number), at, "me", changes)
            await source.write(encode_change_set(said))
    domain = Domain(log, lambda: Engine(Sealer(bytes(KEY_BYTES))))
    await domain.acquire()
    await domain.release()
    updates = (await everything(log))[::-1]

    def of(asked: Asked) -> list[str]:
        return [one["changes"][0]["verb"] for one in updates if asked.takes(one)]

    assert of(Asked((*_ROUTE, "r", None))) == ["put", "put", "pin", "unpin", "refused"]
    assert of(Asked(("gateway.networking.k8s.io", "Gateway", "gw", None)))[-2:] == ["pin", "tick"]
    assert of(Asked(cluster="other")) == ["put"]
    assert of(Asked(cluster="local")) == ["put", "put", "pin", "unpin", "pin", "tick", "refused"]
    assert all(object_term(*_ROUTE, "r") in terms(one) for one in updates if Asked((*_ROUTE, "r", None)).takes(one))


async def test_of_an_object_only_what_names_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "EVERY", 5)
    monkeypatch.setattr("streams.projections.index.EVERY", 5)
    log = Counting()
    await resolved(log)
    await index_if_due(log, "default", 0, -1)
    log.reads = 0
    found = await answered(log, Asked((*_ROUTE, "r3", None)))
    behind = sum(1 for one in await everything(log) if one["offset"] > 0) % 5
    assert 0 < len(found) <= log.reads - len(await everything(log)) - 1 + 5 + behind
    log.reads = 0
    await answered(log, Asked((*_ROUTE, "nobody", None)))
    assert log.reads < 10, "only what is behind the last block"


async def test_an_index_that_was_lost_is_filled_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.projections.index.EVERY", 5)
    monkeypatch.setattr(index, "EVERY", 5)
    await resolved(log)
    at = await index_if_due(log, "default", 0, -1)
    if isinstance(log, MemoryLog):
        log._records[Topic.INDEX, 0].clear()
        log._ends[Topic.INDEX, 0] = 0
        assert await index_if_due(log, "default", 0, at) == at
        assert await indexed(log, 0) == at


async def test_what_is_no_block_is_passed_over(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.projections.index.EVERY", 5)
    monkeypatch.setattr(index, "EVERY", 5)
    await resolved(log)
    await index_if_due(log, "default", 0, -1)
    whole = encode_block(0, 10**9, [(0, (await everything(log))[0])])
    async with log.writer("index-default") as writer:
        forged = (None, b"", b"idx1", whole[:-1], b"\xff" * 200, whole, encode_block(3, 9, []))
        await writer.write([Outgoing(Topic.INDEX, 0, b"default/0", one) for one in forged])
    updates = await everything(log)
    for asked in ASKED[:6]:
        assert await answered(log, asked) == [one for one in updates if asked.takes(one)], asked


async def test_large_updates_of_many_parts_are_found(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.updates.PART_BYTES", 2_600)
    monkeypatch.setattr(index, "EVERY", 2)
    monkeypatch.setattr("streams.projections.index.EVERY", 2)
    monkeypatch.setattr("streams.history._PIECE", 3)
    puts = tuple(route(f"r{number}", "s0", hostnames=[f"h{number}.example.com"]) for number in range(20))
    async with log.writer("source") as source:
        for number, changes in enumerate(((gateway(),), puts, (service("s0"),), tuple(delete(one) for one in puts))):
            at = f"2026-11-24T14:00:0{number}.000Z"
            change_set = ChangeSet("default", "local", "files", str(number), at, "me", changes)
            await source.write(encode_change_set(change_set))
    domain = Domain(log, lambda: Engine(Sealer(bytes(KEY_BYTES))))
    await domain.acquire()
    await domain.release()
    updates = await everything(log)
    assert (await log.ends(Topic.UPDATES, 0))[1] > len(updates) + 4, "some are of many parts"
    for _ in ("without", "with"):
        for asked in (Asked(), Asked((*_ROUTE, "r3", None)), Asked(host="h19.example.com"), Asked(until=3)):
            assert await answered(log, asked) == [one for one in updates if asked.takes(one)], asked
        await index_if_due(log, "default", 0, -1)


def test_a_block_is_the_same_bytes_everywhere_and_read_back() -> None:
    update = {
        "offset": 7,
        "actor": "me",
        "changes": [{"verb": "put", "ref": "local//Service/default/s"}, {"verb": "tick"}, {"verb": "put", "ref": "x"}],
        "downstream": {"fragments": {"set": [], "removed": []}, "nodes": {"set": [], "removed": []}, "statuses": []},
    }
    assert terms(update) == {"actor/me", "object//Service/s", "namespace/default"}
    value = encode_block(100, 200, [(100, update), (150, {**update, "offset": 9, "actor": "you"})])
    block = decode_block(value)
    assert isinstance(block, Block)
    assert (block.first, block.following, block.lowest, block.highest) == (100, 200, 7, 9)
    assert list(block.at("actor/me")) == [100]
    assert list(block.at("namespace/default")) == [100, 150]
    assert list(block.at("actor/nobody")) == []
    assert value == encode_block(100, 200, [(100, update), (150, {**update, "offset": 9, "actor": "you"})])


async def test_the_log_of_the_benchmark_tells_what_a_resolver_tells() -> None:
    """A million change sets are not derived there: what is written in place of it must be the same, but for `routing`.

    That has nodes with what they say, which nothing is found by: it makes a record of a resolver's some bytes longer.
    """
    sets = list(change_sets(200, 20))
    written, log = MemoryLog(), MemoryLog()
    assert [done async for done in write(written, sets)] == [len(sets)]
    async with log.writer("source") as source:
        await source.write(record for one in sets for record in encode_change_set(one))
    domain = Domain(log, lambda: Engine(Sealer(bytes(KEY_BYTES))), DomainOptions(version=VERSION))
    await domain.acquire()
    await domain.release()
    wanted = {one["offset"]: one for one in await everything(log)}
    for one in await everything(written):
        if one["offset"] > 0:
            said, known = ({**value, "routing": []} for value in (one, wanted[one["offset"]]))
            assert said == known


async def test_a_broker_that_is_away_is_told() -> None:
    log = MemoryLog()
    log.down = True
    with pytest.raises(LogError):
        await answered(log, Asked())
