"""Runs a process's work with its endpoint beside it; where none is wanted, nothing of that is imported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from streams.telemetry import Telemetry


async def seen(address: str, work: Callable[[Telemetry], Awaitable[None]]) -> None:
    """Do the work of one role. Raises OSError when `address` (empty: no endpoint) cannot be listened on."""
    telemetry = Telemetry()
    if not address:
        await work(telemetry)
        return
    from streams.telemetry.server import UNIX, Sight, endpoint  # noqa: PLC0415

    if address.startswith(UNIX):
        Path(address.removeprefix(UNIX)).parent.mkdir(parents=True, exist_ok=True)

    async def readiness() -> Mapping[str, Any]:
        return telemetry.health.readiness()

    async with endpoint(address, Sight(readiness)):
        await work(telemetry)


async def seen_together(address: str, roles: Mapping[str, str], work: Coroutine[Any, Any, None]) -> None:
    """Do the work of several processes in one place. `roles` are their addresses. Raises OSError as `seen`."""
    if not address:
        await work
        return
    from streams.telemetry.server import Sight, endpoint  # noqa: PLC0415
    from streams.telemetry.together import Together  # noqa: PLC0415

    try:
        async with endpoint(address, Sight(Together(roles).readiness)):
            await work
    finally:
        work.close()
