"""Roles within the test's own process: each works in the background until the test is done with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from engine.engine import Engine
from streams.domain import Domain
from streams.ports import Log
from streams.topics import Topic


@asynccontextmanager
async def working(work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """`work` in the background. Raises what ended it meanwhile."""
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def taking(domain: Domain) -> AsyncIterator[None]:
    """The domain takes what comes, looking for it again and again, and lets go at the end."""

    async def resolve() -> None:
        while True:
            async for records in domain.missing():
                await domain.apply(records)
            await asyncio.sleep(0.02)

    await domain.acquire()
    try:
        async with working(resolve()):
            yield
    finally:
        await domain.release()


@asynccontextmanager
async def resolving(log: Log, engine: Callable[[], Engine]) -> AsyncIterator[None]:
    """The resolver of a log's first domain."""
    domain = Domain(log, engine)
    await domain.acquire()

    async def follow() -> None:
        async for records in log.follow(Topic.CHANGES, 0, domain.offset + 1):
            await domain.apply(records)

    async with working(follow()):
        yield
