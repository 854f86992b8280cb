"""Connections of readers: who has not asked for anything yet has little time and few places: all others get in."""

from __future__ import annotations

import asyncio
import errno
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from aiohttp import web

from streams.reminder import Reminder

ASKING_SECONDS: Final = 10.0
"""For the headers of a request, the first and each further one."""
WAITING: Final = 64
"""Connections that have not asked yet, at a time; for a new one the eldest goes."""
_BACKLOG: Final = 64
"""As many are taken at once."""
_STOP_SECONDS: Final = 1.0
_LOG = structlog.get_logger()


class _Doorway:
    """Makes the protocol of each connection; as the outermost middleware it knows who has asked."""

    def __init__(self) -> None:
        self._asked: set[Any] = set()
        self.server: web.Server | None = None

    def __call__(self) -> Any:
        """The protocol of a new connection."""
        assert self.server is not None  # noqa: S101  nobody listens before
        waiting = [one for one in self.server.connections if one not in self._asked]
        for eldest in waiting[: max(0, len(waiting) - WAITING + 1)]:
            eldest.force_close()
        return self.server()

    def middleware(self) -> Any:
        """Who is being answered is not waiting."""

        @web.middleware
        async def asked(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
            protocol = request.protocol
            self._asked.add(protocol)
            try:
                response: web.StreamResponse = await handler(request)
                return response
            finally:
                self._asked.discard(protocol)

        return asked


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """An application that is served; its host:port. Raises OSError when it cannot listen.

    Who goes away is noticed at once, not by the next write.
    """
    doorway = _Doorway()
    app.middlewares.insert(0, doorway.middleware())
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_STOP_SECONDS,
        handler_cancellation=True,
        keepalive_timeout=ASKING_SECONDS,
    )
    await runner.setup()
    doorway.server = runner.server
    try:
        listener = await asyncio.get_running_loop().create_server(doorway, host, port, backlog=_BACKLOG)
        try:
            bound = listener.sockets[0].getsockname()
            yield f"[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{bound[0]}:{bound[1]}"
        finally:
            listener.close()
    finally:
        await runner.cleanup()


def allow_files() -> None:
    """As many open files as the machine allows: each reader holds several. What is still too many is said in a line."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    reminder = Reminder()

    def said(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
        elif reminder.is_due("files"):
            _LOG.warning("no connection can be taken: too many open files; raise their limit (ulimit -n)")

    asyncio.get_running_loop().set_exception_handler(said)
