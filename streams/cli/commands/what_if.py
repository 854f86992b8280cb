"""`penstock what-if`: what would be otherwise if manifests were applied and objects deleted. Nothing is written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.commands.diff import Level, Levels, section
from streams.cli.commands.get import line
from streams.cli.consequences import Base, Consequences, Envoy, NoEnvoy, Requests, few, show, told, weighed, wish
from streams.cli.limits import GatewaysChanged, HostsChanged, RequestsChanged, RoutesChanged, RoutesRemoved, limits
from streams.cli.moment import At, engine_of, last
from streams.cli.output import Format, emit, fail
from streams.cli.reading import Brokers, Cluster, Data, Output, chosen, resolved, with_log
from streams.ports import Log

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.history.what_if import Trial
    from engine.seal import Sealer
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
class _Found:
    """What is proposed, and all that comes of it."""

    proposal: Proposal
    trial: Trial
    consequences: Consequences
    conditions: list[dict[str, Any]]
    """Of what is given: those that would not be as wished."""

    @property
    def code(self) -> int:
        """The exit code."""
        is_bad = self.proposal.reading.refused or self.conditions or self.trial.warnings
        return _NOT_ACCEPTED if is_bad else self.consequences.code


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("what-if", help=what_if.__doc__)(what_if)


def what_if(  # noqa: PLR0913  the options of the command
    files: Files = None,
    *,
    delete: Deleted = None,
    at: At = None,
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
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Tell what would be otherwise if manifests were applied and objects deleted, together. Nothing is written.

    It tells objects, routing, Envoy's resources and proxies that differ, conditions that turn, how many hosts, routes
    and Gateways become others, and whether an Envoy takes it. What is there and not in FILES stays as it is.

    Exit code 0: it may be applied. 1: something given is refused, or would not be accepted; an object to delete is not
    there; the log does not hold the moment. 5: a limit is exceeded. 7: Envoy would reject it. The first that holds
    of 1, 7 and 5.
    """
    _check(files, delete, requests)
    settings = chosen(data, brokers, cluster)
    most = limits(max_routes_removed, max_routes_changed, max_hosts_changed, max_gateways_changed, max_requests_changed)
    asked = wish(most, requests, base, envoy or settings.envoy, validate=not no_envoy)

    async def work(log: Log, partition: int) -> _Found:
        if at is None:
            await resolved(settings, log)
        engine = await engine_of(settings, log, partition, at or str(await last(log, partition)))
        proposed, trial, sealer = await asyncio.to_thread(_tried, settings, engine, files or [], delete or [])
        found = await weighed(trial.before, trial.after, sealer, asked)
        return _Found(proposed, trial, found, _conditions(proposed, trial))

    done = with_log(settings, work)
    if output is Format.TABLE:
        _print(done, frozenset(level or Level))
    else:
        emit(_told(done), output)
    raise typer.Exit(done.code)


def _check(files: list[str] | None, delete: list[str] | None, requests: str | None) -> None:
    """End the command with 2 when its words make no sense together."""
    if not files and not delete:
        fail("name manifests, - for standard input, or objects with --delete", 2)
    if "-" in (files or ()) and requests == "-":
        fail("standard input cannot be both manifests and requests: name a file for one of them", 2)


def _tried(settings: Settings, engine: Engine, files: list[str], delete: list[str]) -> tuple[Proposal, Trial, Sealer]:
    from engine.history.what_if import tried  # noqa: PLC0415  slow to import
    from engine.seal import Sealer  # noqa: PLC0415
    from streams.cli.proposal import proposal  # noqa: PLC0415
    from streams.main import key  # noqa: PLC0415

    sealer = Sealer(key(settings))
    proposed = proposal(engine, sealer, files, delete, settings.cluster)
    change_set = replace(proposed.change_set, domain=settings.domain)
    return proposed, tried(engine, change_set), sealer


def _conditions(proposed: Proposal, trial: Trial) -> list[dict[str, Any]]:
    """Of what is given: as `penstock check` says it. What a source is to find out first nobody can tell here."""
    from engine.resolve.values import PENDING  # noqa: PLC0415  slow to import
    from engine.status.condition import conditions, is_good  # noqa: PLC0415

    given = sorted(proposed.reading.objects.items())
    statuses = [(ref, stands, trial.after.statuses.get(str(ref))) for ref, stands in given]
    return [
        {"location": stands.location, "ref": f"{ref.kind} {ref.namespace}/{ref.name}", **one}
        for ref, stands, status in statuses
        for one in (conditions(status["status"]) if status is not None else ())
        if not is_good(one) and one["reason"] != PENDING and "/" not in one["type"]
    ]


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
        "conditions": found.conditions,
        "defects": list(found.trial.warnings),
        "warnings": proposed.reading.warnings,
        "notes": list(proposed.notes),
        **told(found.consequences),
        "code": found.code,
    }


def _print(found: _Found, levels: frozenset[Level]) -> None:
    proposed = found.proposal
    put, gone = len(proposed.put), len(proposed.deleted)
    same = len(proposed.reading.objects.keys() - proposed.put.keys())
    heads = [f"{put} objects come or change", *([f"{same} are there as they are"] if same else []), f"{gone} go"]
    offset = found.trial.before.moment.offset
    typer.echo(f"in cluster {proposed.change_set.cluster}, from offset {offset}: {', '.join(heads)}")
    refused = [f"  {one.location}: {one.message}" for one in proposed.reading.refused.values()]
    section("refused", few(refused))
    section("not accepted", few([f"  {one['location']}: {one['ref']}: {line(one)}" for one in found.conditions]))
    section("defects of penstock's own", [f"  {one}" for one in found.trial.warnings])
    section("notes", few([f"  {one}" for one in [*proposed.notes, *proposed.reading.warnings]]))
    show(found.consequences, levels)
