"""`penstock history`: what changed an object, a namespace or a host, when, by whom, and what that did to routing."""

from __future__ import annotations

import time
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

import typer

from engine.history.touched import Touched, touched
from engine.ref import parse_ref
from streams.cli.moment import moment
from streams.cli.naming import wanted
from streams.cli.output import Format, emit, fail, note, table
from streams.cli.reading import Brokers, Cluster, Data, Namespace, Output, chosen, with_log
from streams.history import Asked
from streams.history import history as looked_up
from streams.ports import Log
from streams.topics import Topic

_HEADS = ("offset", "time", "cluster", "actor", "change", "routing", "engine")
_SHOWN = 4
"""Of a kind of thing in one line of the table; all are in JSON."""
_SILENT_SECONDS = 2.0

_Ref = Annotated[str | None, typer.Argument(metavar="REF", help="Only of this: KIND/NAME or KIND/NAMESPACE/NAME.")]
_Host = Annotated[str | None, typer.Option(help="Only what changed routes of this hostname, as routes write it.")]
_Actor = Annotated[str | None, typer.Option(help="Only by this field manager, user or file.")]
_Since = Annotated[str | None, typer.Option(help="From this offset or time on, or since so long ago (10m).")]
_Until = Annotated[str | None, typer.Option(help="Up to this offset or time, itself included.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=history.__doc__)(history)


def history(  # noqa: PLR0913  the options of the command
    ref: _Ref = None,
    *,
    namespace: Namespace = None,
    host: _Host = None,
    actor: _Actor = None,
    since: _Since = None,
    until: _Until = None,
    limit: Annotated[int, typer.Option(help="How many at most.")] = 50,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print change sets, the newest first: what changed, when, by whom, and which hosts and routes it changed.

    What is given must hold all together. Exit code 0 even when there is none. It reads what the index of the log
    names; where the log's beginning was deleted, it says with which offset history begins.
    """
    if limit < 0:
        fail(f"--limit {limit} is less than none: give 0 or more", 2)
    meant = wanted(ref) if ref is not None else None
    if meant is not None and namespace is not None and meant.namespace not in (None, namespace):
        fail(f"{ref!r} and -n {namespace} contradict one another", 2)
    settings = chosen(data, brokers, cluster)
    named = None if meant is None else (meant.kind.group, meant.kind.name, str(meant.name), meant.namespace)

    async def work(log: Log, partition: int) -> list[dict[str, Any]]:
        first = 0 if since is None else await _bound(log, partition, "--since", since, before=True) + 1
        last = None if until is None else await _bound(log, partition, "--until", until, before=False)
        asked = Asked(named, namespace, host.lower() if host else None, actor, settings.cluster, first, last)
        return await _found(log, partition, asked, limit)

    found = [told(one) for one in with_log(settings, work)]
    if output is Format.TABLE:
        table(_HEADS, [_row(one) for one in found])
    else:
        emit(found, output)


async def _bound(log: Log, partition: int, option: str, text: str, *, before: bool) -> int:
    """The last offset up to a moment, that moment's own too unless `before`; -1 when the log begins later."""
    from streams.past import NotKept, offset_at  # noqa: PLC0415  slow to import

    meant = moment(text, datetime.now().astimezone(), option)
    if isinstance(meant, int):
        return meant - 1 if before else meant
    millis = int(meant.timestamp() * 1000)
    try:
        return await offset_at(log, partition, millis - 1 if before else millis)
    except NotKept:
        return -1


async def _found(log: Log, partition: int, asked: Asked, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    looking = _Looking()
    if not limit:
        return found
    async with aclosing(looked_up(log, partition, asked, looking.heard)) as coming:
        async for one in coming:
            found.append(one)
            if len(found) == limit:
                return found
    begin, _ = await log.ends(Topic.UPDATES, partition)
    if begin > 0 and asked.since < looking.lowest:
        note(f"history begins at offset {looking.lowest}: what penstock.updates told of before was deleted")
    return found


class _Looking:
    """Says on standard error how far it is, when it takes long."""

    def __init__(self) -> None:
        self.lowest = 0
        self._said = time.monotonic()

    def heard(self, offset: int) -> None:
        """All down to an offset was looked at."""
        self.lowest = offset
        if time.monotonic() - self._said > _SILENT_SECONDS:
            self._said = time.monotonic()
            note(f"looked back to offset {offset}")


def told(update: dict[str, Any]) -> dict[str, Any]:
    """An update as the command tells it: what changed, and in place of Envoy's names the hosts, routes and backends."""
    found = touched(update["downstream"])
    routing = {name: list(getattr(found, name)) for name in Touched.__dataclass_fields__}
    heads = ("offset", "time", "cluster", "source", "actor", "engine")
    return {name: update.get(name, "") for name in heads} | {"changes": update["changes"], "routing": routing}


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    changes = [f"{change['verb']} {_name(change)}".rstrip() for change in one["changes"]]
    heads = (str(one[name]) for name in ("offset", "time", "cluster", "actor"))
    return (*heads, _few(changes), _words(one["routing"]), str(one["engine"]))


def _words(routing: dict[str, list[str]]) -> str:
    """Which hosts, routes and backends, in words; nothing where traffic meets what it met before."""
    said = [
        ("hosts", routing["hosts"]),
        ("hosts gone", routing["hosts_gone"]),
        ("routes", [_short(one) for one in routing["routes"]]),
        ("routes gone", [_short(one) for one in routing["routes_gone"]]),
        ("backends", [_short(one) for one in routing["backends"]]),
    ]
    return "; ".join(f"{word} {_few(names)}" for word, names in said if names)


def _few(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _name(change: dict[str, Any]) -> str:
    names = (change.get(word) for word in ("ref", "gateway", "location", "pin"))
    return _short(str(next((one for one in names if one), "")))


def _short(ref: str) -> str:
    try:
        found = parse_ref(ref)
    except ValueError:
        return ref
    return "/".join(one for one in (found.kind, found.namespace, found.name) if one)
