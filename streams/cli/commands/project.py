"""`penstock project`: a role as a process of its own."""

from __future__ import annotations

import typer

from streams.cli.roles import project


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Keep convergence, which proxy runs which offset, and checkpoints of the log.")(project)
