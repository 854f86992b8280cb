"""Runs a process's work with its endpoint beside it; where none is wanted, nothing of that is imported."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.telemetry import Telemetry
from streams.telemetry.metrics import ACTIVE, READY
from streams.telemetry.traces import Traces, is_wanted


async def seen(
    address: str, work: Callable[[Telemetry], Awaitable[None]], labels: Mapping[str, str] | None = None
) -> None:
    """Do the work of one role, whose metrics have these labels.

    Raises OSError when `address` (empty: no endpoint) cannot be listened on.
    """
    with _traces(labels or {}) as traces:
        if address:
            await _shown(address, work, labels or {}, traces)
        else:
            await work(Telemetry(traces=traces))


@contextmanager
def _traces(labels: Mapping[str, str]) -> Iterator[Traces]:
    """Traces as the variables of OpenTelemetry want them. Raises ValueError for what cannot be."""
    if not is_wanted(os.environ):
        yield Traces()
        return
    from streams.telemetry.otlp import OtlpTraces  # noqa: PLC0415

    traces = OtlpTraces(labels)
    try:
        yield traces
    finally:
        traces.close()


async def _shown(
    address: str, work: Callable[[Telemetry], Awaitable[None]], labels: Mapping[str, str], traces: Traces
) -> None:
    from streams.telemetry.prometheus import PrometheusMeters  # noqa: PLC0415
    from streams.telemetry.server import UNIX, Sight, endpoint  # noqa: PLC0415

    if address.startswith(UNIX):
        Path(address.removeprefix(UNIX)).parent.mkdir(parents=True, exist_ok=True)

    meters = PrometheusMeters(labels)
    telemetry = Telemetry(meters=meters, traces=traces)
    health = telemetry.health
    meters.ask(READY, lambda: not health.waiting())

    async def readiness() -> Mapping[str, Any]:
        return health.readiness()

    async def metrics() -> bytes:
        if (activity := health.activity) is not None:
            meters.ask(ACTIVE, activity)
        return meters.text()

    async with endpoint(address, Sight(readiness, metrics)):
        await work(telemetry)


async def seen_together(address: str, roles: Mapping[str, str], work: Coroutine[Any, Any, None]) -> None:
    """Do the work of several processes in one place. `roles` are their addresses. Raises OSError as `seen`."""
    if not address:
        await work
        return
    from streams.telemetry.server import Sight, endpoint  # noqa: PLC0415
    from streams.telemetry.together import Together  # noqa: PLC0415

    try:
        together = Together(roles)
        async with endpoint(address, Sight(together.readiness, together.metrics)):
            await work
    finally:
        work.close()
