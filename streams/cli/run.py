"""`penstock run`: a directory of manifests becomes serving Envoys, through Kafka."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.logs import configure_logs
from streams.cli.output import fail
from streams.cli.roles import load_settings, named, said

if TYPE_CHECKING:
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=run.__doc__)(run)


def run(
    directories: Annotated[list[str], typer.Argument(help="DIR, or CLUSTER=DIR for several clusters.")],
    data: Annotated[Path | None, typer.Option(help="Directory of the log, keys and snapshots.")] = None,
    brokers: Annotated[str | None, typer.Option(help="A Kafka of yours, host:port; else the embedded one.")] = None,
    envoy: Annotated[Path | None, typer.Option(help="An Envoy binary of yours; else the packaged one.")] = None,
    bind: Annotated[str | None, typer.Option(help="Address on which Gateways listen.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Print lines, not a live view.")] = False,  # noqa: FBT002
) -> None:
    """Serve manifests: watch them, resolve them through the log, and run an Envoy for each Gateway.

    Ctrl-C ends everything. After a crash, run it again: broker and Envoys that still run are adopted.
    """
    paths = {name: value.resolve() for name, value in (("data", data), ("envoy", envoy)) if value is not None}
    given = paths | {name: value for name, value in (("brokers", brokers), ("bind", bind)) if value is not None}
    environment = {f"PENSTOCK_{name.upper()}": str(value) for name, value in given.items()}
    sources, settings = _sources(directories), load_settings(given)
    os.environ.update(environment)
    try:
        _serve(settings, sources, environment, live=sys.stdout.isatty() and not plain)
    except Exception as error:  # noqa: BLE001  whatever it is, a person reads one line
        fail(said(error), 3)


def _sources(directories: list[str]) -> list[tuple[str, Path]]:
    sources = [named(one) for one in directories]
    if len({cluster for cluster, _ in sources}) != len(sources):
        fail("each directory needs a cluster name of its own: write east=DIR1 west=DIR2", 2)
    for _, directory in sources:
        if not directory.is_dir():
            fail(f"{directory} is not a directory: name the directory that holds your manifests", 3)
    return sources


def _serve(settings: Settings, sources: list[tuple[str, Path]], environment: dict[str, str], *, live: bool) -> None:
    """Hold the data directory and run until a signal; whatever was started is ended, however far it came."""
    from streams.cli.view import Screen  # noqa: PLC0415  heavy imports only once the words were right
    from streams.identity import lock  # noqa: PLC0415
    from streams.main import key  # noqa: PLC0415
    from streams.sinks.local_envoy import envoy_binary  # noqa: PLC0415
    from streams.sources.absent import note  # noqa: PLC0415
    from streams.standalone import Standalone  # noqa: PLC0415

    configure_logs()
    envoy_binary(settings.envoy)
    with lock(settings.data):
        key(settings)
        note(settings.data, [cluster for cluster, _ in sources])
        only = sources[0][0] if len(sources) == 1 else None
        screen = Screen(settings.data / "logs", only, live=live)
        standalone = Standalone(settings, sources, environment, screen.say, screen.show)
        try:
            asyncio.run(_until_signal(standalone.up(), lambda: screen.say("run", "ending")))
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
