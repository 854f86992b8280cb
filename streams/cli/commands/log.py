"""`penstock log`: what happened, when, by whom, and what it changed downstream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import orjson
import typer
import yaml

from streams.cli.following import follow as going_on
from streams.cli.output import Format, emit, fail, plain, table
from streams.cli.reading import Brokers, Cluster, Data, Output, chosen, with_log
from streams.history import latest
from streams.index import is_of_cluster
from streams.ports import Log
from streams.topics import Topic
from streams.updates import Whole


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="log", help=show_log.__doc__)(show_log)


def show_log(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,  # noqa: FBT002
    limit: Annotated[int, typer.Option(help="How many of the latest.")] = 50,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print change sets: offset, time, cluster, actor, what changed, what it changed downstream.

    With --follow, what keeps the log from going on is said once on standard error. Ctrl-C ends it, with code 130.
    """
    if limit < 0:
        fail(f"--limit {limit} is less than none: give 0 or more", 2)
    settings = chosen(data, brokers, cluster)
    wanted = settings.cluster

    async def work(log: Log, partition: int) -> None:
        found, end = await latest(log, partition, limit, lambda one: is_of_cluster(one, wanted))
        if not follow:
            _print(found, output)
            return
        _show(found, output)
        whole = Whole()
        await going_on(settings, Topic.UPDATES, end, lambda records: _show(_of(whole.take(records), wanted), output))

    with_log(settings, work)


def _of(updates: Iterable[dict[str, Any]], cluster: str) -> Iterator[dict[str, Any]]:
    return (one for one in updates if is_of_cluster(one, cluster))


def _print(found: list[dict[str, Any]], output: Format) -> None:
    if output is Format.TABLE:
        table(("offset", "time", "cluster", "actor", "change", "downstream"), [_row(one) for one in found])
    else:
        emit(found, output)


def _show(found: Iterable[dict[str, Any]], output: Format) -> None:
    for value in found:
        typer.echo(_line(value, output))


def _line(value: dict[str, Any], output: Format) -> str:
    """An update as it comes: a line, or a document of its own."""
    if output is Format.JSON:
        return orjson.dumps(value).decode()
    if output is Format.YAML:
        return "---\n" + yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip()
    return plain("  ".join(_row(value)))


def _row(value: dict[str, Any]) -> tuple[str, ...]:
    changes = [f"{one['verb']} {_short(one)}".strip() for one in value.get("changes", [])]
    shown = ", ".join(changes[:4]) + (f" and {len(changes) - 4} more" if len(changes) > 4 else "")
    down = value.get("downstream", {})
    fragments = down.get("fragments", {})
    text = f"+{len(fragments.get('set', []))} -{len(fragments.get('removed', []))} fragments"
    text += f", {len(down.get('statuses', []))} statuses"
    return (
        str(value["offset"]),
        str(value.get("time", "")),
        str(value.get("cluster", "")),
        str(value.get("actor", "")),
        shown,
        text,
    )


def _short(change: dict[str, Any]) -> str:
    ref = str(change.get("ref") or change.get("location") or change.get("fragment") or change.get("pin") or "")
    parts = ref.split("/")
    return f"{parts[2]}/{parts[4]}" if len(parts) == 5 else ref
