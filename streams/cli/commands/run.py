"""`penstock run`: a directory of manifests becomes serving Envoys, through Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.output import fail
from streams.cli.roles import load_settings, named
from streams.cli.together import is_live, serve
from streams.data_directory import inside


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=run.__doc__)(run)


def run(  # noqa: PLR0913  the options of the command
    directories: Annotated[list[str], typer.Argument(help="DIR, or CLUSTER=DIR for several clusters.")],
    data: Annotated[Path | None, typer.Option(help="Directory of the log, keys and snapshots.")] = None,
    brokers: Annotated[str | None, typer.Option(help="A Kafka of yours, host:port; else the embedded one.")] = None,
    envoy: Annotated[Path | None, typer.Option(help="An Envoy binary of yours; else the packaged one.")] = None,
    bind: Annotated[str | None, typer.Option(help="Address on which Gateways listen.")] = None,
    allow_empty: Annotated[  # noqa: FBT002
        bool, typer.Option("--allow-empty", help="Let a directory without any manifest delete what it said before.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Print lines, not a live view.")] = False,  # noqa: FBT002
) -> None:
    """Serve manifests: watch them, resolve them through the log, and run an Envoy for each Gateway.

    Ctrl-C ends everything. After a crash, run it again: broker and Envoys that still run are adopted.
    """
    paths = {name: value.resolve() for name, value in (("data", data), ("envoy", envoy)) if value is not None}
    texts = (("brokers", brokers), ("bind", bind), ("allow_empty", allow_empty or None))
    given: dict[str, Any] = paths | {name: value for name, value in texts if value is not None}
    environment = {f"PENSTOCK_{name.upper()}": str(value) for name, value in given.items()}
    sources, settings = _sources(directories), load_settings(given)
    for _, directory in sources:
        if (words := inside(directory, settings.data)) is not None:
            fail(words, 3)
    from streams.standalone import Outside, watcher  # noqa: PLC0415  heavy imports only once the words were right
    from streams.supervisor import Role  # noqa: PLC0415

    watches = {cluster: watcher(cluster, directory) for cluster, directory in sources}
    outside = Outside(watches, (Role("deploy", ("deploy",)),))
    serve(settings, outside, environment, live=is_live(plain=plain))


def _sources(directories: list[str]) -> list[tuple[str, Path]]:
    sources = [named(one) for one in directories]
    if len({cluster for cluster, _ in sources}) != len(sources):
        fail("each directory needs a cluster name of its own: write east=DIR1 west=DIR2", 2)
    for _, directory in sources:
        if not directory.is_dir():
            fail(f"{directory} is not a directory: name the directory that holds your manifests", 3)
    return sources
