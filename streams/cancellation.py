"""A cancellation that a task group loses: one of its tasks failed at that moment (gh-116720, until Python 3.13)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from streams.clients import end_task


async def apart(work: Coroutine[Any, Any, None]) -> None:
    """Await work in a task of its own, which ends with the one that waits for it. Raises what it raises.

    Whoever catches what a TaskGroup raised and goes on awaits it so, or may go on though he was told to end.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task})
    finally:
        await end_task(task)
    task.result()
