"""`penstock graph`: the resolved routing graph, as it is on its topic."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from streams.cli.output import Format, emit, table
from streams.cli.reading import Brokers, Data, Output, chosen, rows, with_log
from streams.topics import Topic


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
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print nodes of the resolved routing graph."""
    found = with_log(chosen(data, brokers), lambda log, partition: rows(log, Topic.GRAPH, partition))
    nodes = {key: node for key, node in found.items() if key.startswith(what.value.removesuffix("s") + "/")}
    if output is not Format.TABLE:
        emit(list(nodes.values()), output)
        return
    heads = list(dict.fromkeys(name for node in nodes.values() for name in node))
    table(heads, [[_cell(node.get(head)) for head in heads] for node in nodes.values()])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_cell(one) for one in value)
    if isinstance(value, dict):
        return " ".join(f"{key}={_cell(one)}" for key, one in value.items() if one not in (None, "", []))
    return "" if value is None else str(value)
