"""`penstock run`: a directory of manifests becomes serving Envoys, through Kafka."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from streams.broker import Broker, BrokerError
from streams.cli.logs import configure_logs
from streams.cli.output import fail
from streams.cli.roles import named
from streams.ports import Log
from streams.supervisor import Role, Supervisor


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
    given = {"data": data, "brokers": brokers, "envoy": envoy, "bind": bind}
    environment = {
        f"PENSTOCK_{name.upper()}": str(value.resolve() if isinstance(value, Path) else value)
        for name, value in given.items()
        if value is not None
    }
    sources = [named(one) for one in directories]
    if len({cluster for cluster, _ in sources}) != len(sources):
        fail("each directory needs a cluster name of its own: write east=DIR1 west=DIR2", 2)
    for _, directory in sources:
        if not directory.is_dir():
            fail(f"{directory} is not a directory: name the directory that holds your manifests", 3)
    live = sys.stdout.isatty() and not plain
    try:
        asyncio.run(_until_signal(sources, environment, live=live))
    except* (RuntimeError, ValueError, OSError) as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        fail(str(error) or type(error).__name__, 3)


async def _until_signal(sources: list[tuple[str, Path]], environment: dict[str, str], *, live: bool) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(_run(sources, environment, live=live))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        _line("run", "everything has ended")


def _line(role: str, text: str) -> None:
    sys.stdout.write(f"{role:<10} {text}\n")
    sys.stdout.flush()


async def _run(sources: list[tuple[str, Path]], environment: dict[str, str], *, live: bool) -> None:
    import os  # noqa: PLC0415

    from streams.identity import lock  # noqa: PLC0415  heavy imports only once the words were right
    from streams.kafka import KafkaLog  # noqa: PLC0415
    from streams.main import key  # noqa: PLC0415
    from streams.settings import Settings  # noqa: PLC0415
    from streams.sinks.local_envoy import envoy_binary, stop_all  # noqa: PLC0415

    os.environ.update(environment)
    configure_logs()
    settings = Settings()
    envoy_binary(settings.envoy)
    with lock(settings.data):
        key(settings)
        broker = Broker(settings.data / "broker", lambda text: _line("broker", text))
        address = settings.brokers or await broker.start()
        _line("broker", f"Kafka at {address}")
        log = KafkaLog(address, settings.topic_prefix, settings.security())
        await log.create_topics(settings.partition + 1)
        roles = [Role("resolve", ("resolve",)), Role("publish", ("publish",)), Role("deploy", ("deploy",))]
        roles += [Role("project", ("project",))]
        roles += [
            Role(f"watch-{cluster}", ("watch", f"{cluster}={directory.resolve()}")) for cluster, directory in sources
        ]
        supervisor = Supervisor(roles, environment, _sink(settings.data / "logs", live=live))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(supervisor.run(), name="supervisor")
                if not settings.brokers:
                    tasks.create_task(_keep_broker(broker), name="broker")
                tasks.create_task(_show(log, settings.partition, live=live), name="view")
        finally:
            await stop_all(settings.data.resolve() / "proxies")
            if not settings.brokers:
                await broker.stop()


async def _keep_broker(broker: Broker) -> None:
    """Start the embedded broker again when it dies."""
    while True:
        await asyncio.sleep(0.5)
        if broker.running() is None:
            _line("broker", "ended, starts again")
            try:
                await broker.start()
            except BrokerError as error:
                _line("broker", str(error))
                await asyncio.sleep(2)


async def _show(log: Log, partition: int, *, live: bool) -> None:
    from streams.cli.view import follow_lines, follow_live  # noqa: PLC0415

    await (follow_live if live else follow_lines)(log, partition, _line)


def _sink(directory: Path, *, live: bool) -> Callable[[str, str], None]:
    """Roles' lines: to files always, and to the terminal unless the live view is there."""
    directory.mkdir(parents=True, exist_ok=True)

    def say(role: str, text: str) -> None:
        with (directory / f"{role}.log").open("a") as file:
            file.write(text + "\n")
        if not live:
            _line(role, text)

    return say
