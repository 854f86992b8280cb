"""`penstock rbac`: what the roles may do in a cluster, for `kubectl apply -f -`."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.permissions import manifests, text


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="rbac", help=print_rbac.__doc__)(print_rbac)


def print_rbac(
    namespace: Annotated[str, typer.Option(help="Namespace of the service account, and of the Leases.")] = "penstock",
    account: Annotated[str, typer.Option(help="Service account of the roles; it begins their names.")] = "penstock",
    *,
    members: Annotated[bool, typer.Option("--members", help="For roles with --members, too.")] = False,
) -> None:
    """Print the ClusterRoles and the Role that the roles need in a cluster, bound to a service account, as YAML."""
    typer.echo(text(manifests(namespace, account, members=members)), nl=False)
