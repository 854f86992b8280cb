"""Hundreds of Secrets that are asked for: each is watched over a connection of its own, and none waits for another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from engine.ref import Ref
from streams.memory import MemoryLog
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.objects import config_map, secret
from tests.kubernetes.stage import Stage, real_stage
from tests.kubernetes.test_watch import OPTIONS, has, objects, until, watching

pytestmark = pytest.mark.kubernetes
_MANY = 300


async def test_every_one_of_hundreds_of_secrets_is_followed(api_server: ApiServerProcess) -> None:
    async with real_stage(api_server) as stage:
        names = [f"s{number:03d}" for number in range(_MANY)]
        # The last is not there: that, too, is told by its watch.
        await asyncio.gather(*(stage.put(secret(stage.namespace, name, "swordfish")) for name in names[:-1]))
        log, refs = MemoryLog(), frozenset(Ref("east", "", "Secret", stage.namespace, name) for name in names)

        async def wanted() -> AsyncIterator[frozenset[Ref]]:
            yield refs
            await asyncio.Event().wait()

        async with watching(log, stage, replace(OPTIONS, wanted=wanted)):
            await has(log, stage, *(f"Secret/{name}" for name in names[:-1]))
            before = await objects(log, stage)
            # While all of them are watched, whatever else is asked is answered, and the change of any is seen.
            await stage.put(config_map(stage.namespace, "a", "1"))
            await asyncio.gather(*(stage.put(secret(stage.namespace, name, "herring")) for name in names))
            await has(log, stage, "ConfigMap/a", *(f"Secret/{name}" for name in names))
            await until(stage, lambda: _all_changed(log, stage, before))


async def _all_changed(log: MemoryLog, stage: Stage, before: dict[str, object]) -> bool:
    found = await objects(log, stage)
    return all(found[name] != old for name, old in before.items())
