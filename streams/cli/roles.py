"""The roles of `penstock run` as commands of their own: watch, resolve, project, publish, deploy."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.logs import configure_logs
from streams.cli.output import fail

_PDEATHSIG = 1


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="Append what a directory of manifests says to the log.")(watch)
    app.command(help="Resolve the log into config: one at a time is active.")(resolve)
    app.command(help="Keep convergence: which proxy runs which offset.")(project)
    app.command(help="Serve config to proxies.")(publish)
    app.command(help="Run a local Envoy for each Gateway.")(deploy)


def watch(source: Annotated[str, typer.Argument(help="CLUSTER=DIR, or DIR for cluster local.")]) -> None:
    """The file source."""
    from streams.main import run_watch  # noqa: PLC0415
    from streams.settings import Settings  # noqa: PLC0415

    cluster, directory = named(source)
    _run(run_watch(Settings(), cluster, directory))


def resolve() -> None:
    """The resolver."""
    from streams.main import run_resolve  # noqa: PLC0415
    from streams.settings import Settings  # noqa: PLC0415

    _run(run_resolve(Settings()))


def project() -> None:
    """The projections."""
    from streams.main import run_project  # noqa: PLC0415
    from streams.settings import Settings  # noqa: PLC0415

    _run(run_project(Settings()))


def publish() -> None:
    """The publisher."""
    from streams.main import run_publish  # noqa: PLC0415
    from streams.settings import Settings  # noqa: PLC0415

    _run(run_publish(Settings()))


def deploy() -> None:
    """The local deployer."""
    from streams.main import run_deploy  # noqa: PLC0415
    from streams.settings import Settings  # noqa: PLC0415

    _run(run_deploy(Settings()))


def named(source: str) -> tuple[str, Path]:
    """`east=DIR` as (cluster, directory); `DIR` is cluster "local"."""
    cluster, equals, directory = source.partition("=")
    return (cluster, Path(directory)) if equals else ("local", Path(source))


def _run(role: Coroutine[Any, Any, None]) -> None:
    """Run a role until SIGTERM or SIGINT; what ends it otherwise is one line and exit code 3."""
    configure_logs()
    _die_with_parent()
    try:
        asyncio.run(_until_signal(role))
    except* (RuntimeError, ValueError, OSError) as group:
        error = group.exceptions[0]
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        fail(str(error) or type(error).__name__, 3)


async def _until_signal(role: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(role)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        sys.stderr.flush()


def _die_with_parent() -> None:
    """A role of a killed `penstock run` ends; its Envoys and broker stay, and the next run adopts them."""
    parent = os.environ.get("PENSTOCK_PARENT")
    if parent is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(0)
