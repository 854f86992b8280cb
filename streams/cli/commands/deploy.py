"""`penstock deploy`: a role as a process of its own."""

from __future__ import annotations

import typer

from streams.cli.roles import deploy


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Run proxies for each Gateway: a local Envoy, or pods of a Kubernetes cluster.")(deploy)
