"""Several processes seen as one: each is asked over a socket of its own, and what they answer is put together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from streams.telemetry.prometheus import merged
from streams.telemetry.server import UNIX

_SECONDS = 3.0
"""For an answer: who asks us waits no longer, mostly."""


@dataclass(frozen=True, slots=True)
class Together:
    """`roles` are the addresses (unix:PATH) of the processes, by name."""

    roles: Mapping[str, str]

    async def readiness(self) -> Mapping[str, Any]:
        """As `Health.readiness`: ready when all are. `roles` has each one's own word."""
        roles = {name: _told(answer) for name, answer in (await self._asked("/readyz")).items()}
        waiting = {
            name: "; ".join(f"{part}: {words}" for part, words in one["waiting"].items())
            for name, one in roles.items()
            if not one["ready"]
        }
        return {"ready": not waiting, "waiting": waiting, "roles": roles}

    async def metrics(self) -> bytes:
        """All metrics of all that answer."""
        return merged(await self._asked("/metrics"))

    async def _asked(self, path: str) -> Mapping[str, bytes]:
        answers = await asyncio.gather(*(_asked(address, path) for address in self.roles.values()))
        return dict(zip(self.roles, answers, strict=True))


def _told(answer: bytes) -> Mapping[str, Any]:
    if not answer:
        return {"ready": False, "waiting": {"process": "does not answer"}}
    found: Mapping[str, Any] = orjson.loads(answer)
    return found


async def _asked(address: str, path: str) -> bytes:
    """What a process answers; nothing when it does not."""
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(_SECONDS))
            connector = aiohttp.UnixConnector(address.removeprefix(UNIX))
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            answer = await stack.enter_async_context(session.get(f"http://role{path}"))
            return await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError):
        # It is not there yet, or starts again, or does nothing any more.
        return b""
