"""`penstock dump`: Envoy's own words about the config that a gateway's proxy runs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Annotated

import typer

from engine.ref import parse_ref
from streams.cli.output import Format, emit, fail
from streams.cli.reading import Data, Output, chosen


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=dump.__doc__)(dump)


def dump(
    gateway: Annotated[str, typer.Argument(help="NAME or NAMESPACE/NAME of a Gateway.")],
    output: Output = Format.JSON,
    data: Data = None,
) -> None:
    """Print the config dump of a gateway's local Envoy."""
    from streams.sinks.local_envoy import admin_address, remembered  # noqa: PLC0415

    namespace, _, name = gateway.rpartition("/")
    found = [
        row
        for _, row in remembered(chosen(data).data / "proxies")
        if (ref := parse_ref(str(row["gateway"]))).name == name and namespace in ("", ref.namespace)
    ]
    if not found:
        fail(f"no local proxy of Gateway {gateway} runs; see penstock status", 1)
    address = admin_address(found[0])
    if address is None:
        fail(f"the proxy of Gateway {gateway} is still starting; try again", 3)
    try:
        with urllib.request.urlopen(f"http://{address}/config_dump?include_eds", timeout=10) as answer:
            config = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        fail(f"the proxy of Gateway {gateway} does not answer on {address}: {error}", 3)
    emit(config, Format.YAML if output is Format.YAML else Format.JSON)
