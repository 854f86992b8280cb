"""What `penstock run` shows while it runs, read from the topics like everybody else does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from rich.live import Live
from rich.table import Table

from streams.ports import Log, LogError
from streams.topics import OPENING, Topic, split_key
from streams.view import follow_table

_REFRESH_SECONDS = 0.25


@dataclass(slots=True)
class _Seen:
    nodes: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    convergence: dict[str, Any] = field(default_factory=dict)


async def follow_lines(log: Log, partition: int, say: Callable[[str, str], None]) -> None:
    """A line for each update, and for each gateway that all its proxies have caught up."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_updates(log, partition, lambda value: say("update", _words(value))))
        tasks.create_task(_convergence(log, partition, lambda row: say("proxies", _proxies(row))))


async def follow_live(log: Log, partition: int, say: Callable[[str, str], None]) -> None:  # noqa: ARG001
    """A table that refreshes itself: gateways, routes, the last change, convergence."""
    seen = _Seen()
    with Live(_table(seen), refresh_per_second=4, transient=False) as live:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_nodes(log, partition, seen))
            tasks.create_task(_updates(log, partition, seen.last.update))
            tasks.create_task(_convergence(log, partition, lambda row: seen.convergence.update({row["gateway"]: row})))
            while True:
                await asyncio.sleep(_REFRESH_SECONDS)
                live.update(_table(seen))


async def _updates(log: Log, partition: int, seen: Callable[[dict[str, Any]], None]) -> None:
    while True:
        try:
            _, end = await log.ends(Topic.UPDATES, partition)
            async for records in log.follow(Topic.UPDATES, partition, end):
                for record in records:
                    if record.value and record.key and split_key(record.key)[1] != OPENING:
                        seen(orjson.loads(record.value))
        except LogError:
            await asyncio.sleep(1)


async def _convergence(log: Log, partition: int, seen: Callable[[dict[str, Any]], None]) -> None:
    while True:
        try:
            _, end = await log.ends(Topic.CONVERGENCE, partition)
            async for records in log.follow(Topic.CONVERGENCE, partition, end):
                for record in records:
                    if record.value:
                        seen(orjson.loads(record.value))
        except LogError:
            await asyncio.sleep(1)


async def _nodes(log: Log, partition: int, seen: _Seen) -> None:
    while True:
        try:
            async for batch in follow_table(log, Topic.GRAPH, partition):
                for name, record in batch.rows.items():
                    if record is None:
                        seen.nodes.pop(name, None)
                    else:
                        seen.nodes[name] = orjson.loads(record.value or b"{}")
        except LogError:
            await asyncio.sleep(1)


def _words(update: dict[str, Any]) -> str:
    changes = update.get("changes", [])
    shown = ", ".join(f"{one['verb']} {_name(one)}".rstrip() for one in changes[:3])
    more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
    downstream = update.get("downstream", {}).get("fragments", {})
    return (
        f"offset {update['offset']}: {shown}{more} -> "
        f"{len(downstream.get('set', []))} fragments set, {len(downstream.get('removed', []))} removed"
    )


def _name(change: dict[str, Any]) -> str:
    ref = str(change.get("ref") or change.get("location") or "")
    parts = ref.split("/")
    return f"{parts[2]} {parts[3]}/{parts[4]}" if len(parts) == 5 else ref


def _proxies(row: dict[str, Any]) -> str:
    parts = row["gateway"].split("/")
    connected = [one for one in row["proxies"].values() if one["connected"]]
    errors = "".join(f"; rejected: {one['error'][:200]}" for one in connected if one["error"])
    return f"{parts[3]}/{parts[4]}: {len(connected)} connected, run offset {row['lowest']}{errors}"


def _table(seen: _Seen) -> Table:
    table = Table(title=f"penstock   last: {_words(seen.last)}" if seen.last else "penstock", title_justify="left")
    for head in ("gateway", "listeners", "routes", "proxies", "runs offset"):
        table.add_column(head)
    routes = sum(1 for name in seen.nodes if name.startswith("route/"))
    for name, node in sorted(seen.nodes.items()):
        if not name.startswith("gateway/"):
            continue
        row = seen.convergence.get(node["gateway"], {})
        proxies = [one for one in row.get("proxies", {}).values() if one["connected"]]
        parts = node["gateway"].split("/")
        lowest = row.get("lowest")
        table.add_row(
            f"{parts[3]}/{parts[4]}",
            ", ".join(node["listeners"]),
            str(routes),
            str(len(proxies)),
            "" if lowest is None else str(lowest),
        )
    return table
