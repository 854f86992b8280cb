"""`penstock upgrade --dry-run`: what this version would serve otherwise than the one that runs. Nothing is written."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from engine.changes import Garbage
from streams.cli.commands.diff import Level, Levels
from streams.cli.consequences import Base, Consequences, Envoy, NoEnvoy, Requests, show, told, weighed, wish
from streams.cli.limits import (
    EXCEEDED,
    GatewaysChanged,
    HostsChanged,
    RequestsChanged,
    RoutesChanged,
    RoutesRemoved,
    limits,
)
from streams.cli.output import Format, emit, fail
from streams.cli.reading import Brokers, Data, Output, chosen, resolved, with_log
from streams.codec import decode_fragment
from streams.ports import Log
from streams.topics import Topic
from streams.view import Table, read_table

if TYPE_CHECKING:
    from engine.history.what_if import State
    from engine.seal import Sealer
    from engine.update import Fragment
    from streams.settings import Settings

_SECONDS: Final = 60.0
"""How long it is waited for a moment in which all topics say the same offset."""
_LOOK_SECONDS: Final = 0.1
_TOPICS: Final = (Topic.STATE, Topic.XDS, Topic.STATUS, Topic.INFRA)
_HOW: Final = """\
an upgrade is done by starting the new version in place of the one that runs: it reads what that one left, notes itself
in the log, and emits what it says differently. `penstock run`: stop it, install the new version, start it; its Envoys
serve meanwhile. Kubernetes: `helm upgrade` with the new image. To see what would be otherwise, run the new version's
`penstock upgrade --dry-run` first"""
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would be otherwise; the only thing that it does.")]
FailOnChange = Annotated[bool, typer.Option("--fail-on-change", help="Exit code 5 when anything would be otherwise.")]


@dataclass(frozen=True, slots=True)
class _Versions:
    """Of the engine: of what is running, at this offset, and of this command."""

    offset: int
    running: str
    this: str


@dataclass(frozen=True, slots=True)
class _Both:
    """What is served, and what would be."""

    versions: _Versions
    running: State
    this: State


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=upgrade.__doc__)(upgrade)


def upgrade(  # noqa: PLR0913  the options of the command
    *,
    dry_run: DryRun = False,
    fail_on_change: FailOnChange = False,
    requests: Requests = None,
    base: Base = None,
    max_routes_removed: RoutesRemoved = None,
    max_routes_changed: RoutesChanged = None,
    max_hosts_changed: HostsChanged = None,
    max_gateways_changed: GatewaysChanged = None,
    max_requests_changed: RequestsChanged = None,
    envoy: Envoy = None,
    no_envoy: NoEnvoy = False,
    level: Levels = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Tell what this version of penstock would serve otherwise than the one that runs. Nothing is written.

    What the running version left in the topics is compared with what this one makes of the same state, with the
    settings of this process: give it those of the installation.

    Exit code 0: it was told, whether or not anything differs. 5: a limit is exceeded, or with --fail-on-change
    anything differs. 7: Envoy would reject what this version serves. 6: the log did not stand still for a minute.
    """
    if not dry_run:
        fail(_HOW, 2)
    settings = chosen(data, brokers)
    most = limits(max_routes_removed, max_routes_changed, max_hosts_changed, max_gateways_changed, max_requests_changed)
    asked = wish(most, requests, base, envoy or settings.envoy, validate=not no_envoy)

    async def work(log: Log, partition: int) -> tuple[_Versions, Consequences]:
        await resolved(settings, log)
        sealer = _sealer(settings)
        both = await _both(settings, log, partition, sealer)
        return both.versions, await weighed(both.running, both.this, sealer, asked)

    versions, found = with_log(settings, work)
    code = found.code or (EXCEEDED if fail_on_change and found.what_if else 0)
    if output is Format.TABLE:
        _print(versions, found, frozenset(level or Level))
    else:
        emit(_told(versions, found, code), output)
    raise typer.Exit(code)


def _sealer(settings: Settings) -> Sealer:
    from engine.seal import Sealer  # noqa: PLC0415  slow to import
    from streams.main import key  # noqa: PLC0415

    if not settings.key_file.exists():
        fail(f"there is no sealing key at {settings.key_file}: name the --data or PENSTOCK_SEALING_KEY of this log", 3)
    return Sealer(key(settings))


async def _tables(log: Log, partition: int) -> list[Table]:
    """The topics as of one offset: what is written meanwhile makes them differ for a moment."""
    deadline = time.monotonic() + _SECONDS
    while True:
        found = list(await asyncio.gather(*(read_table(log, topic, partition) for topic in _TOPICS)))
        if len({one.progress for one in found}) == 1:
            return found
        if time.monotonic() > deadline:
            fail(f"the log did not stand still for a moment within {_SECONDS:.0f} s: try again when less changes", 6)
        await asyncio.sleep(_LOOK_SECONDS)


async def _both(settings: Settings, log: Log, partition: int, sealer: Sealer) -> _Both:
    from engine.engine import VERSION, Engine  # noqa: PLC0415  slow to import
    from engine.history.diff import Moment  # noqa: PLC0415
    from engine.history.what_if import State, state  # noqa: PLC0415
    from streams.main import engine_settings  # noqa: PLC0415

    rows, fragments, statuses, proxies = await _tables(log, partition)
    engine = Engine(sealer, engine_settings(settings))
    fold = _values(rows)
    engine.load(fold.items())
    engine.offset = rows.progress
    this = state(engine)
    moment = Moment(rows.progress, this.moment.objects, _fragments(fragments), _values(proxies))
    running = State(moment, _values(statuses))
    version = (fold.get("engine") or {}).get("version", "")
    return _Both(_Versions(rows.progress, version, VERSION), running, this)


def _values(table: Table) -> dict[str, Any]:
    return {key: orjson.loads(row.value or b"null") for key, row in table.rows.items()}


def _fragments(table: Table) -> dict[str, Fragment]:
    """What is emitted; not what somebody else wrote there, which nobody serves."""
    found = {}
    for row in table.rows.values():
        with suppress(Garbage):
            one = decode_fragment(row)
            if one is not None:
                found[str(one.key)] = one
    return found


def _told(versions: _Versions, found: Consequences, code: int) -> dict[str, Any]:
    heads = {"offset": versions.offset, "running": versions.running, "this": versions.this}
    return {**heads, "differs": bool(found.what_if), **told(found), "code": code}


def _print(versions: _Versions, found: Consequences, levels: frozenset[Level]) -> None:
    running = versions.running or "(unknown)"
    typer.echo(f"offset {versions.offset}: engine version {running} runs, this is version {versions.this}")
    show(found, levels)
