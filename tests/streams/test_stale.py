"""A domain knows which clusters are stale, for the metric that counts them."""

from __future__ import annotations

from dataclasses import replace

from engine.engine import Engine
from engine.events import Change, Reachable, Unreachable
from engine.seal import KEY_BYTES, Sealer
from streams.domain import Domain, DomainOptions
from streams.memory import MemoryLog
from streams.topics import Topic
from tests.streams.toy import TIME, append, change_set, records


async def test_stale_clusters_are_known_from_the_log_and_from_the_state() -> None:
    log = MemoryLog()

    async def owner() -> Domain:
        one = Domain(log, lambda: Engine(Sealer(bytes(KEY_BYTES))), DomainOptions())
        await one.acquire()
        return one

    async def say(one: Domain, change: Change) -> frozenset[str]:
        await append(log, replace(change_set(change), cluster="east", source="files"))
        await one.apply(await records(log, Topic.CHANGES))
        return one.stale

    one = await owner()
    assert await say(one, Unreachable(TIME)) == {"east"}
    one = await owner()
    assert one.stale == {"east"}
    assert await say(one, Reachable()) == frozenset()
    assert (await owner()).stale == frozenset()
