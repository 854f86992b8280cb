"""`penstock check`: judges manifests offline, with the engine that would serve them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.engine import Engine
from engine.events import ChangeSet, Put, Tick
from engine.models.kgateway import passed_over
from engine.ref import Ref, parse_ref
from engine.resolve.manifest import GATEWAY_API, spec_of
from engine.resolve.values import PENDING
from engine.seal import KEY_BYTES, Sealer
from engine.status.condition import conditions, is_good
from streams.cli.commands.get import line
from streams.cli.output import Format, emit, fail, say
from streams.cli.reading import Output
from streams.cli.roles import load_settings, named
from streams.clock import now
from streams.sources.manifests import Found, MissingDirectory, read_directory
from streams.sources.stamp import stamped

if TYPE_CHECKING:
    from engine.resolve.settings import EngineSettings
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=check.__doc__)(check)


def check(
    directories: Annotated[list[str], typer.Argument(help="DIR, or CLUSTER=DIR.")], output: Output = Format.TABLE
) -> None:
    """Judge manifests offline: print what would not be accepted, and why. Exit 1 when there is any."""
    try:
        answer = judge([named(one) for one in directories])
    except MissingDirectory as error:
        fail(str(error), 3)
    problems = answer["refused"] + answer["conditions"] + answer["defects"]

    def whose(row: dict[str, str]) -> str:
        return f"{row['cluster']}: " if len(directories) > 1 else ""

    if output is not Format.TABLE:
        emit(answer, output)
    else:
        for one in answer["refused"]:
            say(f"{whose(one)}{one['location']}: {one['message']}")
        for one in answer["conditions"]:
            at = f"{one['location']}: " if one["location"] else ""
            say(f"{whose(one)}{at}{one['ref']}: {line(one)}")
        for text in answer["defects"]:
            say(f"a defect of penstock's own: {text}")
        for text in answer["warnings"]:
            say(f"warning: {text}")
        say(f"{answer['objects']} objects, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


def judge(sources: list[tuple[str, Path]]) -> dict[str, Any]:
    """Refusals, bad conditions, defects and warnings of directories as clusters. Raises MissingDirectory.

    Defects are what the engine cannot compute: of what it concerns nothing is served.
    """
    # Sealed with a key that nobody keeps: nothing of this leaves the process.
    sealer, settings = Sealer(bytes(KEY_BYTES)), load_settings()
    engine = Engine(sealer, _settings(settings))
    time = now()
    refused: list[dict[str, str]] = []
    warnings: list[str] = []
    defects: list[str] = []
    objects: dict[Ref, Found] = {}
    for number, (cluster, directory) in enumerate(sources):
        reading = read_directory(directory, cluster)
        puts = tuple(
            Put(ref, stamped(ref, one.object, None, time, sealer)) for ref, one in sorted(reading.objects.items())
        )
        update = engine.apply(ChangeSet("default", cluster, "check", "check", time, "check", puts), number)
        defects += update.warnings
        refused += [
            {"cluster": cluster, "location": one.location, "message": one.message} for one in reading.refused.values()
        ]
        warnings += [*reading.warnings, *_passed_over(reading.objects)]
        objects |= reading.objects
    ticked = engine.apply(ChangeSet("default", "", "check", "tick", time, "check", (Tick(),)), len(sources))
    defects += [one for one in ticked.warnings if one not in defects]
    statuses = {parse_ref(key): status for key, status in engine.everything().statuses.set.items()}
    told = [
        {"cluster": ref.cluster, "ref": _short(ref), "location": _location(objects, ref), **one}
        for ref, status in sorted(statuses.items())
        for one in conditions(status["status"])
    ]
    # What a source is to find out once it runs (an issuer's endpoints) nobody can tell here.
    warnings += [f"{one['ref']}: is not judged: {one['message']}" for one in told if one["reason"] == PENDING]
    found = [one for one in told if not is_good(one) and one["reason"] != PENDING]
    # Our own conditions tell of what is served all the same.
    warnings += [f"{one['ref']}: {one['message']}" for one in found if "/" in one["type"]]
    found = [one for one in found if "/" not in one["type"]]
    warnings += _unjudged(objects, statuses, settings)
    return {
        "objects": len(objects),
        "refused": refused,
        "conditions": found,
        "defects": defects,
        "warnings": warnings,
    }


def _settings(settings: Settings) -> EngineSettings:
    """Those of what would serve, but that Services get their addresses from somebody who is not here."""
    from streams.main import engine_settings  # noqa: PLC0415  it brings Kafka's client

    return replace(engine_settings(settings), service_addresses=False, trusted_keys=())


def _unjudged(objects: Mapping[Ref, Found], statuses: Container[Ref], settings: Settings) -> Iterator[str]:
    """What nothing was said of though it was read: Gateways of others' classes, and what attaches to none of ours."""
    for ref, one in sorted(objects.items(), key=lambda item: (item[1].name, item[1].line)):
        if ref in statuses or ref.group != GATEWAY_API:
            continue
        if ref.kind == "Gateway":
            name = str(spec_of(one.object).get("gatewayClassName"))
            class_ = objects.get(Ref(ref.cluster, GATEWAY_API, "GatewayClass", "", name))
            why = f"not given, and not {settings.gateway_class} (PENSTOCK_GATEWAY_CLASS)"
            if class_ is not None:
                of = spec_of(class_.object).get("controllerName")
                why = f"of {of}, not {settings.controller_name} (PENSTOCK_CONTROLLER_NAME)"
            yield f"{one.location}: {_short(ref)} is not judged: its GatewayClass {name} is {why}"
        elif {"parentRef", "parentRefs"} & spec_of(one.object).keys():
            yield f"{one.location}: {_short(ref)} is not judged: it names no Gateway of ours that is given"


def _passed_over(objects: Mapping[Ref, Found]) -> Iterator[str]:
    for ref, one in sorted(objects.items()):
        for problem in passed_over(one.object):
            yield f"{one.location}: {_short(ref)}: {problem}"


def _location(objects: Mapping[Ref, Found], ref: Ref) -> str:
    return objects[ref].location if ref in objects else ""


def _short(ref: Ref) -> str:
    return f"{ref.kind} {ref.namespace}/{ref.name}"
