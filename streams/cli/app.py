"""The application: which commands there are, how errors end, what the exit codes say.

0: done; 1: something was not accepted, or not found; 2: the call's words are off; 3: something needed is not there.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version as package_version
from typing import Annotated

import typer

from streams.cli.output import fail

_COMMANDS = ("run", "check", "get", "graph", "status", "dump", "log", "replay", "crds", "roles")

app = typer.Typer(
    name="penstock",
    help="An event-sourced Gateway API control plane for Envoy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(value: bool) -> None:  # noqa: FBT001  typer's callback
    if value:
        typer.echo(f"penstock {package_version('penstock')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: FBT002
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """An event-sourced Gateway API control plane for Envoy."""


for _name in _COMMANDS:
    importlib.import_module(f"streams.cli.{_name}").register(app)


def main() -> None:
    """Run the command line; unexpected errors of the log and the files end in one line and exit code 3."""
    from streams.ports import LogError  # noqa: PLC0415

    try:
        app()
    except LogError as error:
        fail(str(error), 3)
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(130)
