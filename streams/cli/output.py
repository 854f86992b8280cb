"""How commands print: tables for people, JSON and YAML for programs, one line for an error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NoReturn

import orjson
import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text


class Format(StrEnum):
    """Values of --output."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def fail(message: str, code: int) -> NoReturn:
    """Say what is wrong on standard error and end with a code."""
    note(message)
    sys.exit(code)


def note(message: str) -> None:
    """Say something on standard error, in one line; it may hold texts of others."""
    sys.stderr.write(f"penstock: {plain(message)}\n")


def plain(text: str) -> str:
    """A text of others on one line: escaped is what a terminal would not show but do, and what would break the line."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def say(line: str) -> None:
    """Print one line, which may hold texts of others."""
    typer.echo(plain(line))


def emit(value: Any, form: Format) -> None:
    """Print a value as JSON or YAML."""
    if form is Format.JSON:
        sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table as kubectl does: upper-case heads, no frames."""
    shown = Table(box=None, pad_edge=False, header_style="")
    for column in columns:
        shown.add_column(column.upper(), overflow="fold")
    for row in rows:
        shown.add_row(*[Text(plain(str(cell))) for cell in row])
    terminal = sys.stdout.isatty()
    # Names and messages hold brackets and colons: they are no markup.
    console = Console(soft_wrap=not terminal, width=None if terminal else 240, markup=False, emoji=False)
    console.print(shown, highlight=False)
