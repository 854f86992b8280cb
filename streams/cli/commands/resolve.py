"""`penstock resolve`: a role as a process of its own."""

from __future__ import annotations

import typer

from streams.cli.roles import resolve


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Resolve the log into config: one at a time is active.")(resolve)
