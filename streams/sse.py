"""The public topics as server-sent events (HTML Living Standard §9.2), one reader one follower; it writes to no topic.

A reader that takes nothing holds up only itself: what is sent waits for it, nothing is kept for it, and after a while
it is let go. Only what ends an update has an id, so that whoever comes back with one has seen whole updates.
"""

from __future__ import annotations

import asyncio
import hmac
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, cast

import orjson
import structlog
from aiohttp import web

from streams.client.following import (
    NOW,
    UnknownToken,
    Where,
    batches,
    begin,
    change_set_events,
    token_of,
    told,
    update_events,
)
from streams.client.values import Node, Update
from streams.listening import allow_files, listening
from streams.ports import Log, LogBehind, LogError
from streams.reminder import Reminder
from streams.topics import Topic

BEAT_SECONDS: Final = 15.0
"""Between two comments on a stream that says nothing: proxies on the way let go of what is silent."""
SLOW_SECONDS: Final = 60.0
"""A reader that takes nothing for so long is let go; it comes back with the last id that it saw."""
READERS: Final = 200
"""At a time: each holds a Kafka client."""
_PIECE_BYTES: Final = 64 << 10
"""What is written at once."""
_SENDING_BYTES: Final = 2 * _PIECE_BYTES
"""What the kernel holds for a reader. It says that there is room once a third is free: of megabytes, by itself, that
takes a slow reader longer than he has."""
_SEALED: Final = "(sealed)"
_CLEAR: Final = {"apiVersion", "kind", "metadata", "type", "immutable"}
"""Of a Secret."""
_LOG = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served; `token` is the bearer token that readers must bring, "" for none."""

    log: Log
    partition: int
    schemas: Mapping[str, Any]
    token: str = ""
    beat: float = BEAT_SECONDS
    slow: float = SLOW_SECONDS
    reminder: Reminder = field(default_factory=Reminder)


class Passed(NamedTuple):
    """What was passed over up to a token: told with the next comment."""

    token: str


Frames = AsyncIterator[bytes | Passed]


async def serve(serving: Serving, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` gets host:port. Raises OSError when it cannot listen."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    allow_files()
    async with listening(application(serving, stopping), host, port) as address:
        ready(address)
        await stopping.wait()


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
            # A HEAD would be answered by a stream without an end.
            web.get("/v1/routes", stream(_routes), allow_head=False),
            web.get("/v1/updates", stream(_updates), allow_head=False),
            web.get("/v1/changes", stream(_changes), allow_head=False),
            web.get("/v1/schemas", schemas),
            web.get("/v1/schemas/{name}", schema),
        ]
    )
    return app


def _guard(token: str) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        given = request.headers.get("authorization", "")
        if token and not hmac.compare_digest(given.encode(errors="surrogateescape"), f"Bearer {token}".encode()):
            raise web.HTTPUnauthorized(text="bring the bearer token\n", headers={"www-authenticate": "Bearer"})
        response: web.StreamResponse = await handler(request)
        return response

    return guard


async def _stream(
    serving: Serving, request: web.Request, frames: Frames, stopping: asyncio.Event
) -> web.StreamResponse:
    """Frames, and a comment whenever there is none for a while.

    What fails before the first one is an HTTP error. Later it is none any more: the connection is cut, and who comes
    back with the last id gets the error, or what follows.
    """
    response = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-store"})
    try:
        async with aclosing(_written(serving, frames, stopping)) as written:
            async for piece in written:
                if not response.prepared:
                    _hold_little(request)
                    await response.prepare(request)
                async with asyncio.timeout(serving.slow):
                    await response.write(piece)
    except Exception as error:
        if not response.prepared:
            raise _refusal(error) from error
        if not isinstance(error, TimeoutError | ConnectionError):
            _LOG.warning("a stream was cut", path=request.path, reason=str(error), kind=type(error).__name__)
        if request.transport is not None:
            request.transport.abort()
    return response


def _hold_little(request: web.Request) -> None:
    connection = request.transport.get_extra_info("socket") if request.transport is not None else None
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDING_BYTES)


async def _written(serving: Serving, frames: Frames, stopping: asyncio.Event) -> AsyncGenerator[bytes]:
    """Pieces of frames, or of comments in the silence between; the end when it is stopping."""
    clock = asyncio.get_running_loop().time
    passed, beat_at = "", clock() + serving.beat
    stopped = asyncio.ensure_future(stopping.wait())
    async with aclosing(cast("AsyncGenerator[bytes | Passed]", frames)):
        coming = asyncio.ensure_future(anext(frames))
        try:
            while not stopped.done():
                left = max(0.0, beat_at - clock())
                await asyncio.wait({coming, stopped}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                found: bytes | Passed = b""
                if coming.done():
                    found = coming.result()
                    coming = asyncio.ensure_future(anext(frames))
                if isinstance(found, Passed):
                    passed, found = found.token, b""
                elif found:
                    passed = ""  # It has an id, or is of an update that gets one: what came before would lead back.
                if not found and clock() >= beat_at:
                    found, passed = b": \n" + _id(passed) + b"\n", ""
                # A large one in pieces, each with its own time: who reads slowly reads.
                for first in range(0, len(found), _PIECE_BYTES):
                    yield found[first : first + _PIECE_BYTES]
                    beat_at = clock() + serving.beat
        finally:
            for task in (coming, stopped):
                task.cancel()
            await asyncio.wait({coming, stopped})
            if not coming.cancelled():
                coming.exception()


def _refusal(error: Exception) -> Exception:
    """The HTTP error for what cannot be followed."""
    if isinstance(error, UnknownToken):
        return web.HTTPBadRequest(text=f"{error}\n")
    if isinstance(error, LogBehind):
        return web.HTTPGone(text=f"{error}\n")
    return web.HTTPServiceUnavailable(text=f"{error}\n") if isinstance(error, LogError) else error


def _since(request: web.Request) -> str:
    """A browser sends its header by itself; `?since=` is for those that cannot."""
    return request.headers.get("last-event-id") or request.query.get("since", "")


def _where(request: web.Request, kind: str = "route") -> Where:
    return Where(request.query.get("namespace", ""), request.query.get("host", ""), kind)


def _id(token: str) -> bytes:
    """Alone it is no event, but who comes back comes back with it."""
    return f"id: {token}\n".encode() if token else b""


def _frame(event: str, data: Any, token: str = "") -> bytes:
    return f"event: {event}\n".encode() + _id(token) + b"data: " + orjson.dumps(data) + b"\n\n"


def _shown(serving: Serving, event: str, data: Callable[[], Any], token: str) -> bytes | None:
    """The frame; None for what JSON's readers have no number or text for, which anybody may have written."""
    try:
        return _frame(event, data(), token)
    except (TypeError, ValueError, RecursionError) as error:
        if serving.reminder.is_due(event):
            _LOG.warning("a record that cannot be shown is passed over", event_kind=event, at=token, reason=str(error))
        return None


async def _routes(serving: Serving, request: web.Request) -> Frames:
    """`snapshot`: forget all; `set` and `removed` of one route each; `progress` closes them and has the id."""
    where = _where(request)
    async for batch in batches(serving.log, serving.partition, _since(request)):
        token, offset = token_of(batch.place), {"offset": batch.progress}
        is_told = batch.snapshot
        piece = _frame("snapshot", offset) if batch.snapshot else b""
        async for name, one in told(batch, where):
            is_told = True
            piece += _route(serving, name, one)
            if len(piece) >= _PIECE_BYTES:
                yield piece
                piece = b""
        yield piece + _frame("progress", offset, token) if is_told else Passed(token)


def _route(serving: Serving, name: str, one: Node | None) -> bytes:
    if one is None:
        return _frame("removed", {"name": name})
    shown = _shown(serving, "set", lambda: {"name": name, "value": one.model_dump(by_alias=True)}, "")
    return shown or _frame("removed", {"name": name})


async def _updates(serving: Serving, request: web.Request) -> Frames:
    """Each `update`; with a filter those that touch it, and of their routing only that."""
    where = _where(request, "")
    start = await begin(serving.log, Topic.UPDATES, serving.partition, _since(request) or NOW)
    yield _id(start.token) + b"\n"
    async for event in update_events(serving.log, serving.partition, start):
        value = _of(event.value, where)
        frame = _shown(serving, "update", partial(_told, value), event.token) if value is not None else None
        yield frame or Passed(event.token)


def _of(update: Update, where: Where) -> Update | None:
    if not where.namespace and not where.host:
        return update
    touched = tuple(one for one in update.routing if where.touches(one))
    return update.model_copy(update={"routing": touched}) if touched or _names(update, where) else None


def _told(update: Update) -> Any:
    return update.model_dump(by_alias=True, exclude_none=True, exclude={"part", "parts"})


def _names(update: Update, where: Where) -> bool:
    """Whether an object of the namespace was changed, where no host is asked for."""
    return not where.host and any(_namespace(one.ref) == where.namespace for one in update.changes)


def _namespace(ref: Any) -> str:
    parts = ref.split("/") if isinstance(ref, str) else []
    return parts[3] if len(parts) == 5 else ""


async def _changes(serving: Serving, request: web.Request) -> Frames:
    """Each record of the log; values of Secrets are left out, sealed as they are."""
    namespace = request.query.get("namespace", "")
    start = await begin(serving.log, Topic.CHANGES, serving.partition, _since(request) or NOW)
    yield _id(start.token) + b"\n"
    async for event in change_set_events(serving.log, serving.partition, start):
        value = event.value
        chosen = [one for one in value.changes if not namespace or _namespace(one.get("ref")) == namespace]
        frame = None
        if chosen or not namespace:
            public = value.model_copy(update={"changes": tuple(map(_public, chosen))})
            frame = _shown(serving, "changeset", partial(public.model_dump, by_alias=True), event.token)
        yield frame or Passed(event.token)


def _public(change: dict[str, Any]) -> dict[str, Any]:
    """Of a Secret what it is called, whatever stands in it: anybody may have written it, in any shape."""
    object_ = change.get("object")
    is_secret = str(change.get("ref", "")).split("/")[1:3] == ["", "Secret"]
    if not isinstance(object_, dict):
        return {**change, "object": _SEALED} if is_secret and object_ is not None else change
    if not is_secret and object_.get("kind") != "Secret":
        return change
    metadata = object_.get("metadata")
    shown = {part: value if part in _CLEAR else _sealed(value) for part, value in object_.items()}
    if isinstance(metadata, dict):
        # What was applied last is an annotation of kubectl's, values and all.
        annotations = {"annotations": _sealed(metadata["annotations"])} if "annotations" in metadata else {}
        shown["metadata"] = {**metadata, **annotations}
    return {**change, "object": shown}


def _sealed(value: Any) -> Any:
    """Names stay."""
    return dict.fromkeys(value, _SEALED) if isinstance(value, dict) else _SEALED
