"""`penstock write-status`: a role as a process of its own."""

from __future__ import annotations

import typer

from streams.cli.roles import write_status


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("write-status", help="Write statuses to a Kubernetes cluster.")(write_status)
