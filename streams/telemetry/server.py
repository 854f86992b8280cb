"""The endpoint that Kubernetes and Prometheus ask, over HTTP; `streams.sse` serves with aiohttp too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

_STOP_SECONDS = 1.0
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
UNIX = "unix:"
"""What an address that is a path begins with."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is shown: `readiness` as `Health.readiness` tells it, `metrics` in Prometheus's text format."""

    readiness: Callable[[], Awaitable[Mapping[str, Any]]]
    metrics: Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def endpoint(address: str, sight: Sight) -> AsyncIterator[None]:
    """Answer on `address` (host:port, or unix:PATH) while inside. Raises OSError.

    /healthz answers 200 as long as this process answers at all, /readyz 200 or 503 with what it waits for as JSON.
    """

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        found = await sight.readiness()
        body = orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE)
        return web.Response(body=body, status=200 if found["ready"] else 503, content_type="application/json")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await sight.metrics(), headers={"content-type": _TEXT})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthy), web.get("/readyz", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        await _site(runner, address).start()
    except OSError as error:
        await runner.cleanup()
        msg = f"PENSTOCK_HEALTH_LISTEN: {address} cannot be listened on ({error.strerror or error}): name another one"
        raise OSError(msg) from error
    try:
        yield
    finally:
        await runner.cleanup()


def _site(runner: web.AppRunner, address: str) -> web.BaseSite:
    if address.startswith(UNIX):
        return web.UnixSite(runner, address.removeprefix(UNIX))
    host, _, port = address.rpartition(":")
    return web.TCPSite(runner, host.strip("[]"), int(port))
