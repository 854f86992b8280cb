"""`make bench`: every benchmark, a table, and bench.json."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

_PARTS = ("engine", "forks", "policies", "publisher", "boot", "latency")


def _nested(flat: dict[str, float]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for key, value in flat.items():
        group, _, rest = key.partition(".")
        found.setdefault(group, {})[rest] = value
    return found


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Only these parts: {', '.join(_PARTS)}.")] = None,
    out: Annotated[Path, typer.Option(help="Where the figures go.")] = Path("bench.json"),
) -> None:
    """Print a table and write the figures."""
    console, figures = Console(), {}
    for part in only or _PARTS:
        console.print(f"measuring {part} …")
        figures |= importlib.import_module(f"tests.benchmarks.{part}").run()
    table = Table("figure", "value")
    for key, value in figures.items():
        table.add_row(key, f"{value:,.3f}")
    console.print(table)
    out.write_bytes(orjson.dumps(_nested(figures), option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    typer.run(main)
