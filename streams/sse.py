"""The public topics as server-sent events (HTML Living Standard §9.2), one reader one follower; it writes to no topic.

A reader that takes nothing holds up only itself: what is sent waits for it, nothing is kept for it, and after a while
it is let go. Only what ends an update has an id, so that whoever comes back with one has seen whole updates.
"""

from __future__ import annotations

import asyncio
import hmac
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from aiohttp import web

from streams.client.following import NOW, UnknownToken, Where, change_set_events, nodes, update_events
from streams.client.values import Update
from streams.ports import Log, LogError

BEAT_SECONDS: Final = 15.0
"""Between two comments on a stream that says nothing: proxies on the way let go of what is silent."""
SLOW_SECONDS: Final = 60.0
"""A reader that takes nothing for so long is let go; it comes back with the last id that it saw."""
READERS: Final = 200
"""At a time: each holds a Kafka client."""
_STOP_SECONDS: Final = 1.0
_SEALED: Final = "(sealed)"


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served; `token` is the bearer token that readers must bring, "" for none."""

    log: Log
    partition: int
    schemas: Mapping[str, Any]
    token: str = ""
    beat: float = BEAT_SECONDS
    slow: float = SLOW_SECONDS


Frames = AsyncIterator[bytes]


async def serve(serving: Serving, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` gets host:port. Raises OSError when it cannot listen."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    runner = web.AppRunner(application(serving, stopping), access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        ready(f"[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{bound[0]}:{bound[1]}")
        await stopping.wait()
    finally:
        await runner.cleanup()


def application(serving: Serving, stopping: asyncio.Event) -> web.Application:
    """The routes; streams end when `stopping` is set."""
    readers = asyncio.Semaphore(READERS)

    def stream(frames: Callable[[Serving, web.Request], Frames]) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.StreamResponse:
            if readers.locked():
                raise web.HTTPServiceUnavailable(text="too many readers: come back later\n")
            async with readers:
                return await _stream(serving, request, frames(serving, request), stopping)

        return answer

    async def schema(request: web.Request) -> web.Response:
        found = serving.schemas.get(request.match_info["name"].removesuffix(".json"))
        if found is None:
            raise web.HTTPNotFound(text=f"there are {', '.join(sorted(serving.schemas))}\n")
        return web.json_response(found, content_type="application/schema+json")

    async def schemas(_: web.Request) -> web.Response:
        return web.json_response(sorted(serving.schemas))

    app = web.Application(middlewares=[_guard(serving.token)])
    app.add_routes(
        [
            web.get("/v1/routes", stream(_routes)),
            web.get("/v1/updates", stream(_updates)),
            web.get("/v1/changes", stream(_changes)),
            web.get("/v1/schemas", schemas),
            web.get("/v1/schemas/{name}", schema),
        ]
    )
    return app


def _guard(token: str) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        given = request.headers.get("authorization", "")
        if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise web.HTTPUnauthorized(text="bring the bearer token\n", headers={"www-authenticate": "Bearer"})
        response: web.StreamResponse = await handler(request)
        return response

    return guard


async def _stream(
    serving: Serving, request: web.Request, frames: Frames, stopping: asyncio.Event
) -> web.StreamResponse:
    """Frames, and a comment whenever there is none for a while. What fails before the first one is an HTTP error."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-store"})
    stopped = asyncio.ensure_future(stopping.wait())
    async with aclosing(cast("AsyncGenerator[bytes]", frames)):
        coming = asyncio.ensure_future(anext(frames))
        try:
            while not stopped.done():
                await asyncio.wait({coming, stopped}, timeout=serving.beat, return_when=asyncio.FIRST_COMPLETED)
                frame = b": \n\n"
                if coming.done():
                    frame = _result(coming)
                    coming = asyncio.ensure_future(anext(frames))
                if not response.prepared:
                    await response.prepare(request)
                async with asyncio.timeout(serving.slow):
                    await response.write(frame)
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            for task in (coming, stopped):
                task.cancel()
            await asyncio.wait({coming, stopped})
            if not coming.cancelled():
                coming.exception()
    return response


def _result(coming: asyncio.Future[bytes]) -> bytes:
    """Raises an HTTP error for what cannot be followed."""
    try:
        return coming.result()
    except UnknownToken as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error
    except LogError as error:
        raise web.HTTPServiceUnavailable(text=f"{error}\n") from error


def _since(request: web.Request) -> str:
    """A browser sends its header by itself; `?since=` is for those that cannot."""
    return request.headers.get("last-event-id") or request.query.get("since", "")


def _where(request: web.Request, kind: str = "route") -> Where:
    return Where(request.query.get("namespace", ""), request.query.get("host", ""), kind)


def _frame(event: str, data: Any, token: str = "") -> bytes:
    head = f"event: {event}\n" + (f"id: {token}\n" if token else "")
    return head.encode() + b"data: " + orjson.dumps(data) + b"\n\n"


async def _routes(serving: Serving, request: web.Request) -> Frames:
    """`snapshot`: forget all; `set` and `removed` of one route each; `progress` closes them and has the id."""
    followed = nodes(serving.log, serving.partition, _where(request), _since(request))
    async for change in followed:
        if change.snapshot:
            yield _frame("snapshot", {"offset": change.offset})
        for name, one in change.set.items():
            yield _frame("set", {"name": name, "value": one.model_dump(by_alias=True)})
        for name in sorted(change.removed):
            yield _frame("removed", {"name": name})
        yield _frame("progress", {"offset": change.offset}, change.token)


async def _updates(serving: Serving, request: web.Request) -> Frames:
    """Each `update`; with a filter those that touch it, and of their routing only that."""
    where = _where(request, "")
    async for event in update_events(serving.log, serving.partition, _since(request) or NOW):
        value = event.value
        if where.namespace or where.host:
            touched = tuple(one for one in value.routing if where.touches(one))
            if not touched and not _names(value, where):
                continue
            value = value.model_copy(update={"routing": touched})
        yield _frame(
            "update", value.model_dump(by_alias=True, exclude_none=True, exclude={"part", "parts"}), event.token
        )


def _names(update: Update, where: Where) -> bool:
    """Whether an object of the namespace was changed, where no host is asked for."""
    return not where.host and any(_namespace(one.ref) == where.namespace for one in update.changes)


def _namespace(ref: Any) -> str:
    parts = ref.split("/") if isinstance(ref, str) else []
    return parts[3] if len(parts) == 5 else ""


async def _changes(serving: Serving, request: web.Request) -> Frames:
    """Each record of the log; values of Secrets are left out, sealed as they are."""
    namespace = request.query.get("namespace", "")
    async for event in change_set_events(serving.log, serving.partition, _since(request) or NOW):
        value = event.value
        chosen = [one for one in value.changes if not namespace or _namespace(one.get("ref")) == namespace]
        if chosen or not namespace:
            shown = value.model_copy(update={"changes": tuple(map(_shown, chosen))})
            yield _frame("changeset", shown.model_dump(by_alias=True), event.token)


def _shown(change: dict[str, Any]) -> dict[str, Any]:
    object_ = change.get("object")
    if not isinstance(object_, dict) or str(change.get("ref", "")).split("/")[1:3] != ["", "Secret"]:
        return change
    hidden = {part: dict.fromkeys(object_[part], _SEALED) for part in ("data", "stringData") if object_.get(part)}
    return {**change, "object": {**object_, **hidden}}
