"""`penstock dump`: Envoy's own words about the config that a gateway's proxy runs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Annotated

import typer

from engine.placement import Placement, parse_placement
from streams.cli.clusters import listed, one_of
from streams.cli.output import Format, emit, fail
from streams.cli.reading import Cluster, Data, Output, chosen


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=dump.__doc__)(dump)


def dump(
    gateway: Annotated[str, typer.Argument(help="NAME or NAMESPACE/NAME of a Gateway.")],
    cluster: Cluster = None,
    output: Output = Format.JSON,
    data: Data = None,
) -> None:
    """Print the config dump of a gateway's local Envoy, as it is now only.

    A name that is in several clusters, or has proxies in several, needs --cluster.
    """
    from streams.sinks.local_envoy import admin_address, remembered  # noqa: PLC0415

    settings = chosen(data, cluster=cluster)
    found = {
        one: row
        for _, row in remembered(settings.data / "proxies")
        if _is_meant(one := parse_placement(str(row["gateway"])), gateway, settings.cluster)
    }
    if not found:
        where = f" in cluster {settings.cluster}" if settings.cluster else ""
        fail(f"no local proxy of Gateway {gateway} runs{where}; see penstock status", 1)
    one_of(f"Gateway {gateway}", (one.cluster for one in found))
    if len(found) > 1:
        namespaces = listed(sorted(one.gateway.namespace for one in found))
        fail(f"Gateway {gateway} is in namespaces {namespaces}: write NAMESPACE/NAME", 2)
    address = admin_address(next(iter(found.values())))
    if address is None:
        fail(f"the proxy of Gateway {gateway} is still starting; try again", 3)
    try:
        with urllib.request.urlopen(f"http://{address}/config_dump?include_eds", timeout=10) as answer:
            config = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        fail(f"the proxy of Gateway {gateway} does not answer on {address}: {error}", 3)
    emit(config, Format.YAML if output is Format.YAML else Format.JSON)


def _is_meant(one: Placement, gateway: str, cluster: str) -> bool:
    namespace, _, name = gateway.rpartition("/")
    ref = one.gateway
    return ref.name == name and namespace in ("", ref.namespace) and cluster in ("", one.cluster)
