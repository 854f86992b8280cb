"""All roles in one place until a signal: what `penstock run` and `penstock controller` share; it knows no role."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from streams.cli.logs import configure_logs
from streams.cli.output import fail
from streams.cli.pipe import outlive_the_reader
from streams.cli.roles import said

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.standalone import Outside


def is_live(*, plain: bool) -> bool:
    """Whether a person looks at it."""
    return sys.stdout.isatty() and not plain


def serve(settings: Settings, outside: Outside, environment: Mapping[str, str], *, live: bool) -> None:
    """Run all roles until a signal, with `environment` in ours and theirs; what ends it otherwise is a line, and 3."""
    os.environ.update(environment)
    try:
        _serve(settings, outside, environment, live=live)
    except Exception as error:  # noqa: BLE001  whatever it is, a person reads one line
        fail(said(error), 3)


def _serve(settings: Settings, outside: Outside, environment: Mapping[str, str], *, live: bool) -> None:
    """Hold the data directory and run until a signal; whatever was started is ended, however far it came."""
    from streams.cli.view import Screen  # noqa: PLC0415  heavy imports only once the words were right
    from streams.identity import lock  # noqa: PLC0415
    from streams.main import key  # noqa: PLC0415
    from streams.sinks.local_envoy import checked, envoy_binary  # noqa: PLC0415
    from streams.sources.absent import note  # noqa: PLC0415
    from streams.standalone import Standalone  # noqa: PLC0415
    from streams.telemetry.process import seen_together  # noqa: PLC0415

    outlive_the_reader()
    configure_logs()
    if settings.envoy is not None:
        checked(envoy_binary(settings.envoy))
    with lock(settings.data):
        key(settings)
        note(settings.data, outside.sources)
        only = next(iter(outside.sources)) if len(outside.sources) == 1 else None
        screen = Screen(settings.data / "logs", only, live=live)
        standalone = Standalone(settings, outside, environment, screen.say, screen.show)
        try:
            work = seen_together(settings.health_listen, standalone.health, standalone.up())
            asyncio.run(_until_signal(work, lambda: screen.say("run", "ending")))
        finally:
            # In a loop of its own: a broker that was just being started is there by now, and a second Ctrl-C waits.
            asyncio.run(_undisturbed(standalone.down()))
        screen.say("run", "everything has ended")


async def _until_signal(work: Coroutine[Any, Any, None], ending: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)

    def end() -> None:
        ending()
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        await task
    except asyncio.CancelledError:
        return


async def _undisturbed(work: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: None)
    await work
