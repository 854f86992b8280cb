"""`penstock keys`: the key that signs what is written to the log, of which only the public half is ever shown."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.output import Format, emit, fail
from streams.cli.reading import Data, Output, chosen


class Verb(StrEnum):
    """What to do."""

    NEW = "new"
    SHOW = "show"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=keys.__doc__)(keys)


def keys(
    verb: Annotated[Verb, typer.Argument(help="new or show.")] = Verb.SHOW,
    file: Annotated[
        Path | None,
        typer.Argument(help="The private key's file; else PENSTOCK_SIGNING_KEY, else DATA/keys/signing.key."),
    ] = None,
    *,
    output: Output = Format.TABLE,
    data: Data = None,
) -> None:
    """Make a key that signs what is written to the log, or show the public half of the one that is there.

    What is printed goes into `publicKeys` of a Cluster object, or into PENSTOCK_TRUSTED_KEYS. The private key is an
    ed25519 key as PEM that only its owner can read, and is never printed. Exit code 1: there is a key already, there is
    none, or it cannot be used; standard error says why.
    """
    from streams.identity import IdentityError  # noqa: PLC0415  slow to import
    from streams.signing import make_key, private_key, public_key  # noqa: PLC0415

    path = file or chosen(data).signing_key_file
    try:
        public = public_key(make_key(path) if verb is Verb.NEW else private_key(path))
    except IdentityError as error:
        fail(str(error), 1)
    if output is Format.TABLE:
        typer.echo(public)
    else:
        emit({"publicKey": public, "file": str(path)}, output)
