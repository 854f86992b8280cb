"""`penstock watch`: a role as a process of its own."""

from __future__ import annotations

import typer

from streams.cli.roles import watch


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Append what a directory of manifests, or a Kubernetes cluster, says to the log.")(watch)
