"""`penstock what-if`: what would be otherwise if manifests were applied and objects deleted. Nothing is written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.commands.diff import Level, Levels, section
from streams.cli.commands.get import line
from streams.cli.consequences import few, show, show_limits, told
from streams.cli.limits import (
    EXCEEDED,
    GatewaysChanged,
    HostsChanged,
    Limit,
    RoutesChanged,
    RoutesRemoved,
    judged,
    limits,
)
from streams.cli.moment import At, engine_of, last
from streams.cli.output import Format, emit, fail
from streams.cli.reading import Brokers, Cluster, Data, Output, chosen, resolved, with_log
from streams.ports import Log

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.history.what_if import Trial, WhatIf
    from streams.cli.proposal import Proposal
    from streams.settings import Settings

Files = Annotated[
    list[str] | None, typer.Argument(metavar="[FILES]...", help="Manifests: files, directories, - for stdin.")
]
Deleted = Annotated[
    list[str] | None, typer.Option("--delete", help="An object that goes, KIND/[NAMESPACE/]NAME; again for more.")
]
_NOT_ACCEPTED: Final = 1


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command's words ask."""

    files: list[str]
    delete: list[str]
    at: str | None
    limits: list[Limit]


@dataclass(frozen=True, slots=True)
class _Found:
    """All that is answered."""

    proposal: Proposal
    trial: Trial
    what_if: WhatIf
    limits: list[dict[str, Any]]

    @property
    def code(self) -> int:
        """The exit code."""
        if self.proposal.reading.refused or self.invalid or self.trial.warnings:
            return _NOT_ACCEPTED
        return EXCEEDED if any(one["exceeded"] for one in self.limits) else 0

    @property
    def invalid(self) -> list[dict[str, Any]]:
        """Conditions of what is given that would not be as wished."""
        return _invalid(self.proposal, self.trial)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("what-if", help=what_if.__doc__)(what_if)


def what_if(  # noqa: PLR0913  the options of the command
    files: Files = None,
    *,
    delete: Deleted = None,
    at: At = None,
    max_routes_removed: RoutesRemoved = None,
    max_routes_changed: RoutesChanged = None,
    max_hosts_changed: HostsChanged = None,
    max_gateways_changed: GatewaysChanged = None,
    level: Levels = None,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Tell what would be otherwise if manifests were applied and objects deleted, together. Nothing is written.

    It tells objects, routing and Envoy's resources that differ, conditions that turn, and how many hosts, routes and
    Gateways become others. What is there and not in FILES stays as it is.

    Exit code 0: it may be applied. 1: something given is refused, or would not be accepted; an object to delete is not
    there; the log does not hold the moment. 5: a limit is exceeded.
    """
    if not files and not delete:
        fail("name manifests, - for standard input, or objects with --delete", 2)
    given = {
        "routes-removed": max_routes_removed,
        "routes-changed": max_routes_changed,
        "hosts-changed": max_hosts_changed,
        "gateways-changed": max_gateways_changed,
    }
    asked = _Asked(files or [], delete or [], at, limits(given))
    settings = chosen(data, brokers, cluster)

    async def work(log: Log, partition: int) -> _Found:
        if at is None:
            await resolved(settings, log)
        engine = await engine_of(settings, log, partition, at or str(await last(log, partition)))
        return await asyncio.to_thread(_tried, settings, engine, asked)

    found = with_log(settings, work)
    if output is Format.TABLE:
        _print(found, frozenset(level or Level))
    else:
        emit(_told(found), output)
    raise typer.Exit(found.code)


def _tried(settings: Settings, engine: Engine, asked: _Asked) -> _Found:
    from engine.history import what_if as compared  # noqa: PLC0415  slow to import
    from engine.seal import Sealer  # noqa: PLC0415
    from streams.cli.proposal import proposal  # noqa: PLC0415
    from streams.main import key  # noqa: PLC0415

    proposed = proposal(engine, Sealer(key(settings)), asked.files, asked.delete, settings.cluster)
    trial = compared.tried(_Forking(engine, settings), replace(proposed.change_set, domain=settings.domain))
    found = compared.what_if(trial.before, trial.after)
    return _Found(proposed, trial, found, judged(asked.limits, found.radius, None))


class _Forking:
    """A fork by loading the state anew, until the engine forks itself."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.offset = engine.offset
        self.apply, self.everything, self.state = engine.apply, engine.everything, engine.state
        self._settings = settings

    def fork(self) -> Engine:
        from engine.engine import Engine  # noqa: PLC0415
        from engine.seal import Sealer  # noqa: PLC0415
        from streams.main import engine_settings, key  # noqa: PLC0415

        fork = Engine(Sealer(key(self._settings)), engine_settings(self._settings))
        fork.load(self.state().items())
        return fork


def _invalid(proposed: Proposal, trial: Trial) -> list[dict[str, Any]]:
    """Of what is given: as `penstock check` says it. What a source is to find out first nobody can tell here."""
    from engine.resolve.values import PENDING  # noqa: PLC0415  slow to import
    from engine.status.condition import conditions, is_good  # noqa: PLC0415

    found = []
    for ref in sorted(proposed.reading.objects):
        status = trial.after.statuses.get(str(ref))
        for one in conditions(status["status"]) if status is not None else ():
            if not is_good(one) and one["reason"] != PENDING and "/" not in one["type"]:
                location = proposed.reading.objects[ref].location
                name = f"{ref.kind} {ref.namespace}/{ref.name}"
                found.append({"location": location, "ref": name, **one})
    return found


def _told(found: _Found) -> dict[str, Any]:
    proposed = found.proposal
    refused = proposed.reading.refused.values()
    return {
        "offset": found.trial.before.moment.offset,
        "cluster": proposed.change_set.cluster,
        "given": {
            "objects": len(proposed.reading.objects),
            "put": [str(ref) for ref in sorted(proposed.put)],
            "deleted": [str(ref) for ref in proposed.deleted],
        },
        "refused": [{"location": one.location, "message": one.message} for one in refused],
        "conditions": found.invalid,
        "defects": list(found.trial.warnings),
        "warnings": proposed.reading.warnings,
        "notes": list(proposed.notes),
        **told(found.what_if),
        "limits": found.limits,
        "code": found.code,
    }


def _print(found: _Found, levels: frozenset[Level]) -> None:
    proposed = found.proposal
    put, gone = len(proposed.put), len(proposed.deleted)
    same = len(proposed.reading.objects) - put
    heads = [f"{put} objects come or change", *([f"{same} are there as they are"] if same else []), f"{gone} go"]
    offset = found.trial.before.moment.offset
    typer.echo(f"in cluster {proposed.change_set.cluster}, from offset {offset}: {', '.join(heads)}")
    refused = [f"  {one.location}: {one.message}" for one in proposed.reading.refused.values()]
    section("refused", few(refused))
    section("not accepted", few([f"  {one['location']}: {one['ref']}: {line(one)}" for one in found.invalid]))
    section("defects of penstock's own", [f"  {one}" for one in found.trial.warnings])
    section("notes", few([f"  {one}" for one in [*proposed.notes, *proposed.reading.warnings]]))
    show(found.what_if, levels)
    show_limits(found.limits)
