"""`penstock publish`: a role as a process of its own."""

from __future__ import annotations

import typer

from streams.cli.roles import publish


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Serve config to proxies.")(publish)
