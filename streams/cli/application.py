"""The application: the commands that are there, how errors end, what the exit codes say.

0: done; 1: something was not accepted, or not found; 2: the call's words are off; 3: something needed is not there.
3 too: what is printed cannot be written. 4: another watcher of the cluster took over; 5: a limit is exceeded;
6: not in time; 7: Envoy would reject it; 130: Ctrl-C; 141: nobody reads what is printed any more.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version as package_version
from typing import Annotated, Any

import typer

from streams.cli import commands
from streams.cli.output import fail
from streams.cli.pipe import end_with_the_reader, flush

_COMMANDS = {name.replace("_", "-"): name for _, name, _ in pkgutil.iter_modules(commands.__path__)}
"""Command -> its module."""


class _Commands(Mapping[str, Any]):
    """Imports a command's module when that command is asked for: a role would keep for ever what the others need."""

    def __getitem__(self, name: str) -> Any:
        only = typer.Typer(rich_markup_mode=None)
        importlib.import_module(f"{commands.__name__}.{_COMMANDS[name]}").register(only)
        return typer.main.get_group(only).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class _Group(typer.core.TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**(attributes | {"commands": _Commands()}))


app = typer.Typer(
    name="penstock",
    cls=_Group,
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


def run_command() -> None:
    """Run the command of the process's words; unexpected errors of the log end in one line and exit code 3."""
    from streams.ports import LogError  # noqa: PLC0415

    end_with_the_reader()
    try:
        try:
            app()
        except LogError as error:
            fail(str(error), 3)
        except KeyboardInterrupt:
            sys.exit(130)
    finally:
        # What is flushed by the interpreter's end can no longer end with a code of ours.
        flush()
