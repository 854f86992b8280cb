"""Which Secrets the graph asks for, as the log tells it: none that was removed while nobody looked."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from engine.outputs.channels import LOOKUP
from engine.ref import Ref
from streams.memory import MemoryLog
from streams.ports import Outgoing
from streams.sources.lookups import lookups
from streams.topics import PROGRESS, Topic, key

_SECONDS = 240.0
_A, _B, _C = (Ref("east", "", "Secret", "default", name) for name in "abc")


async def tell(log: MemoryLog, offset: int, **rows: bytes | None) -> None:
    """One update: rows by the names of Secrets."""
    names = [f"{LOOKUP}{_A._replace(name=name)}" for name in rows]
    async with log.writer("resolver") as writer:
        await writer.write(
            Outgoing(Topic.INFRA, 0, key("default", name), value, (("offset", b"%d" % offset), ("index", b"%d" % index)))
            for index, (name, value) in enumerate(zip([*names, PROGRESS], [*rows.values(), b"{}"], strict=True))
        )


async def test_what_is_asked_for_is_told_whole_and_once() -> None:
    log = MemoryLog()
    await tell(log, 0, a=b"{}")
    async with aclosing(lookups(log)) as told, asyncio.timeout(_SECONDS):
        assert await anext(told) == {_A}
        await tell(log, 1)
        await tell(log, 2, b=b"{}")
        assert await anext(told) == {_A, _B}
        await tell(log, 3, a=None)
        assert await anext(told) == {_B}


async def test_what_was_asked_for_before_the_log_forgot_its_removal_is_asked_for_no_longer() -> None:
    """Who was away for long gets the table once more: that a row is gone is said by its absence."""
    log = MemoryLog()
    await tell(log, 0, a=b"{}", b=b"{}")
    async with aclosing(lookups(log)) as told, asyncio.timeout(_SECONDS):
        assert await anext(told) == {_A, _B}
        await tell(log, 1, a=None)
        log.compact(Topic.INFRA, 0)
        await tell(log, 2, c=b"{}")
        assert await anext(told) == {_B, _C}
