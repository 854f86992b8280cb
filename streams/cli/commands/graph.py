"""`penstock graph`: the resolved routing graph, as it is on its topic."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from streams.cli.clusters import several
from streams.cli.moment import At, tables
from streams.cli.output import Format, emit, table
from streams.cli.reading import Brokers, Cluster, Data, Output, chosen, with_log
from streams.ports import Log


class What(StrEnum):
    """Kinds of nodes."""

    GATEWAYS = "gateways"
    LISTENERS = "listeners"
    ROUTES = "routes"
    BACKENDS = "backends"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=graph.__doc__)(graph)


def graph(
    what: Annotated[What, typer.Argument(help="Which nodes.")],
    *,
    at: At = None,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print nodes of the resolved routing graph, now or as of another moment of the log."""
    settings = chosen(data, brokers, cluster)

    async def work(log: Log, partition: int) -> dict[str, Any]:
        return await (await tables(settings, log, partition, at)).nodes()

    found = with_log(settings, work)
    # A node's key is its kind, then the ref that it belongs to.
    owners = {key: key.split("/")[1] for key in found}
    named = several(owners.values(), settings.cluster)
    nodes = [
        {"cluster": owners[key], **node}
        for key, node in found.items()
        if key.startswith(what.value.removesuffix("s") + "/") and settings.cluster in ("", owners[key])
    ]
    if output is not Format.TABLE:
        emit(nodes, output)
        return
    heads = [one for one in dict.fromkeys(name for node in nodes for name in node) if named or one != "cluster"]
    # What a node is comes before what is told of it.
    heads.sort(key=lambda one: one not in ("cluster", what.value.removesuffix("s")))
    table(heads, [[_cell(node.get(head)) for head in heads] for node in nodes])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_cell(one) for one in value)
    if isinstance(value, dict):
        return " ".join(f"{key}={_cell(one)}" for key, one in value.items() if one not in (None, "", []))
    return "" if value is None else str(value)
