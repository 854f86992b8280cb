"""`penstock crds`: the CustomResourceDefinitions of the kinds that are ours, for `kubectl apply -f -`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.models.crd import crds, text


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="crds", help=print_crds.__doc__)(print_crds)


def print_crds(
    out: Annotated[Path | None, typer.Option(help="Write one file a kind into this directory instead.")] = None,
) -> None:
    """Print the CustomResourceDefinitions of the kinds that are ours, as YAML."""
    for name, crd in crds().items():
        if out is None:
            typer.echo(text(crd), nl=False)
        else:
            out.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(text(crd), encoding="utf-8")
            typer.echo(str(out / name))
