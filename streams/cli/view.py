"""What `penstock run` shows while it runs, read from the topics like everybody else does."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from engine.placement import place_of
from streams.backoff import Backoff
from streams.cancellation import apart
from streams.cli.output import plain
from streams.codec import decode_convergence, decode_object
from streams.ports import Log, LogError, Record
from streams.topics import Topic
from streams.updates import Whole
from streams.view import follow_table

_REFRESH_SECONDS = 0.25
_PAUSE_SECONDS = 1.0
_RECENT = 8
_WIDTH = 100
_SHOWN = ("gateway/", "listener/")
"""Nodes that the table shows; routes and backends, which are many, only count."""


@dataclass(slots=True)
class _Seen:
    nodes: dict[str, Any] = field(default_factory=dict)
    last: str = "no change yet"
    convergence: dict[str, Any] = field(default_factory=dict)
    only: str | None = ""

    def changed(self, words: str) -> None:
        self.last = f"last change: {words}"


class Screen:
    """What a person sees of a run: a table that refreshes itself with the last lines below it, or lines only.

    Every line also goes to a file of its role in `directory`. A cluster is named unless it is the `only` one watched.
    """

    def __init__(self, directory: Path, only: str | None = "", *, live: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._live = live
        self._is_shown = False
        self._is_lost = False
        self._faults: set[str] = set()
        self._only = only
        self._seen = _Seen()
        self._recent: deque[str] = deque(maxlen=_RECENT)

    def say(self, role: str, text: str) -> None:
        """Tell a line of a role's; on a terminal what it holds of others does nothing."""
        self._keep(role, text)
        self._tell(f"{role:<12} {plain(text)}")

    def _keep(self, role: str, text: str) -> None:
        path = self._directory / f"{role}.log"
        try:
            with path.open("a") as file:
                file.write(text + "\n")
        except OSError as error:
            # A full disk must not end what serves.
            if not self._is_lost:
                self._tell(f"{'run':<12} {path} cannot be written, lines are shown only: {error.strerror}; free space")
            self._is_lost = True
        else:
            self._is_lost = False

    def _tell(self, line: str) -> None:
        self._recent.append(line)
        if not self._is_shown:
            with suppress(OSError, ValueError):
                sys.stdout.write(line + "\n")
                sys.stdout.flush()

    async def show(self, log: Log, partition: int) -> None:
        """Display the log until cancelled: whatever goes wrong with that is said once, and ends nothing."""
        backoff = Backoff(_PAUSE_SECONDS)
        while True:
            try:
                await apart(self._table(log, partition) if self._live else self._lines(log, partition))
            except Exception as error:  # noqa: BLE001  it shares its task group with all that serves
                self._fault(_first(error))
            await backoff.wait()

    def _fault(self, error: Exception) -> None:
        """Say what the display could not make anything of; of the same kind once."""
        text = f"{type(error).__name__}: {error}"
        if text not in self._faults:
            self._faults.add(text)
            self.say("view", f"something cannot be shown, all else goes on: {text[:_WIDTH]}")

    async def _lines(self, log: Log, partition: int) -> None:
        """A line for each update, and for each change of what proxies run."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_updates(log, partition, lambda words: self.say("update", words), self._only))
            tasks.create_task(_convergence(log, partition, lambda row: self.say("proxies", _proxies(row, self._only))))

    async def _table(self, log: Log, partition: int) -> None:
        """Gateways, routes, the last change, convergence, and the last lines."""
        seen = self._seen = _Seen(only=self._only)
        self._is_shown = True
        try:
            with Live(_table(seen), refresh_per_second=4, transient=False) as live:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_nodes(log, partition, seen))
                    tasks.create_task(_updates(log, partition, seen.changed, seen.only))
                    tasks.create_task(
                        _convergence(log, partition, lambda row: seen.convergence.update({row["gateway"]: row}), 0)
                    )
                    while True:
                        await asyncio.sleep(_REFRESH_SECONDS)
                        live.update(
                            Group(_table(seen), Text("\n".join(self._recent), overflow="ellipsis", no_wrap=True))
                        )
        finally:
            self._is_shown = False


async def _updates(log: Log, partition: int, seen: Callable[[str], None], only: str | None = "") -> None:
    """Each update in words as it comes; itself it is not held: the first one names a whole domain."""
    backoff = Backoff(1.0)
    while True:
        try:
            _, end = await log.ends(Topic.UPDATES, partition)
            whole = Whole()
            async for records in log.follow(Topic.UPDATES, partition, end):
                backoff.reset()
                for update in whole.take(records):
                    seen(_words(update, only))
        except LogError:
            await backoff.wait()


async def _convergence(log: Log, partition: int, seen: Callable[[dict[str, Any]], None], start: int = -1) -> None:
    """Rows as they come; from `start`, or from now on."""
    backoff = Backoff(1.0)
    while True:
        try:
            _, end = await log.ends(Topic.CONVERGENCE, partition)
            async for records in log.follow(Topic.CONVERGENCE, partition, end if start < 0 else start):
                backoff.reset()
                for record in records:
                    if (row := decode_convergence(record)) is not None:
                        seen(row)
        except LogError:
            await backoff.wait()


async def _nodes(log: Log, partition: int, seen: _Seen) -> None:
    backoff = Backoff(1.0)
    while True:
        try:
            async for batch in follow_table(log, Topic.GRAPH, partition):
                backoff.reset()
                if batch.snapshot:
                    seen.nodes.clear()
                for name, record in batch.rows.items():
                    if record is None:
                        seen.nodes.pop(name, None)
                    elif name.startswith(_SHOWN) and (node := _node(name, record)) is not None:
                        seen.nodes[name] = node
        except LogError:
            await backoff.wait()


def _node(name: str, record: Record) -> dict[str, Any] | None:
    """A gateway's or listener's node; None for what no resolver wrote."""
    node = decode_object(record)
    if node is None or not name.startswith("gateway/"):
        return node
    gateway, listeners = node.get("gateway"), node.get("listeners")
    is_gateway = isinstance(gateway, str) and gateway.count("/") == 4
    return node if is_gateway and isinstance(listeners, list) else None


def _whose(cluster: str, only: str | None) -> str:
    """Whose it is, where that is not plain: of no cluster are the resolver's own updates."""
    return f"{cluster}: " if cluster and only not in ("", cluster) else ""


def _words(update: dict[str, Any], only: str | None) -> str:
    changes = update["changes"]
    shown = ", ".join(f"{one['verb']} {_name(one)}".rstrip() for one in changes[:3])
    more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
    fragments = update["downstream"]["fragments"]
    return (
        f"offset {update['offset']}: {_whose(str(update.get('cluster', '')), only)}{shown}{more} -> "
        f"{len(fragments['set'])} fragments set, {len(fragments['removed'])} removed"
    )


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _name(change: dict[str, Any]) -> str:
    ref = str(change.get("ref") or change.get("location") or "")
    parts = ref.split("/")
    return f"{parts[2]} {parts[3]}/{parts[4]}" if len(parts) == 5 else ref


def _proxies(row: dict[str, Any], only: str | None) -> str:
    parts = row["gateway"].split("/")
    connected = [one for one in row["proxies"].values() if one["connected"]]
    errors = "".join(f"; rejected: {one['error'].strip()[:200]}" for one in connected if one["error"])
    name = f"{_whose(parts[0], only)}{parts[3]}/{parts[4]}"
    if row["lowest"] is None:
        return f"{name}: no proxy is connected"
    return f"{name}: {len(connected)} connected, run offset {row['lowest']}{errors}"


def _table(seen: _Seen) -> Table:
    """A row for each listener; proxies and what they run stand with the first of a gateway."""
    table = Table(caption=escape(plain(seen.last)), caption_justify="left", min_width=_WIDTH)
    for head in ("gateway", "listener", "port", "routes", "proxies", "run offset"):
        table.add_column(head)
    for name, node in sorted(seen.nodes.items()):
        if not name.startswith("gateway/"):
            continue
        rows = [row for at, row in sorted(seen.convergence.items()) if place_of(at)[0] == node["gateway"]]
        connected = sum(one["connected"] for row in rows for one in row["proxies"].values())
        lowest = min((row["lowest"] for row in rows if row["lowest"] is not None), default=None)
        parts = node["gateway"].split("/")
        first = [
            f"{_whose(parts[0], seen.only)}{parts[3]}/{parts[4]}",
            str(connected),
            "" if lowest is None else str(lowest),
        ]
        for listener in [seen.nodes.get(f"listener/{node['gateway']}/{one}", {}) for one in node["listeners"]] or [{}]:
            shown = [str(listener.get(key, "")) for key in ("name", "port", "attachedRoutes")]
            table.add_row(*(escape(plain(one)) for one in (first[0], *shown, *first[1:])))
            first = ["", "", ""]
    return table
