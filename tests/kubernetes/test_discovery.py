"""Beside a cluster, too, issuers are asked: what they say is none of what the API server says, and outlives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from engine.events import Delete, Put
from engine.observed import configuration_ref, is_configuration, selection_ref
from engine.ref import Ref
from streams.memory import MemoryLog
from streams.sources.discovery import Discovery, Said
from tests.kubernetes.objects import config_map
from tests.kubernetes.stage import MemoryStage, Stage
from tests.kubernetes.test_watch import OPTIONS, has, resolved, sets, until, watching

_ISSUER = "https://login.example.com"
_REF = configuration_ref("east", _ISSUER)


async def _ask(issuer: str) -> Said:
    return {"tokenEndpoint": f"{issuer}/token"}


async def _told(log: MemoryLog) -> list[str]:
    changes = [one for found in await sets(log) for one in found.changes if isinstance(one, Put | Delete)]
    return [type(one).__name__ for one in changes if is_configuration(one.ref)]


async def test_it_is_told_once_and_goes_when_nobody_asks(stage: Stage) -> None:
    log = MemoryLog()
    asked = [asyncio.Queue[frozenset[Ref]]() for _ in range(2)]

    def hearing(queue: asyncio.Queue[frozenset[Ref]]) -> Any:
        async def wanted() -> AsyncIterator[frozenset[Ref]]:
            while True:
                yield await queue.get()

        return wanted

    async def told(*verbs: str) -> bool:
        return await _told(log) == list(verbs)

    options = replace(OPTIONS, wanted=hearing(asked[0]), discovery=Discovery(hearing(asked[1]), _ask, 0.05))
    await stage.put(config_map(stage.namespace, "a", "1"))
    everything = frozenset({_REF, selection_ref("east", stage.namespace, {"app": "shop"})})
    for number in (1, 2):
        for queue in asked:
            queue.put_nowait(everything)
        async with watching(log, stage, options):
            await until(stage, lambda: told("Put"))
            # What the API server is asked for changes nothing about it.
            asked[0].put_nowait(frozenset({_REF}))
            await stage.put(config_map(stage.namespace, "a", f"1{number}"))
            await has(log, stage, "ConfigMap/a")
            assert await told("Put")
        if isinstance(stage, MemoryStage):
            await resolved(log)
    asked[0].put_nowait(frozenset())
    asked[1].put_nowait(frozenset())
    async with watching(log, stage, options):
        await until(stage, lambda: told("Put", "Delete"))
