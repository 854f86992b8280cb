"""`penstock check`: judges manifests offline, with the engine that would serve them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.engine import Engine
from engine.events import ChangeSet, Put, Tick
from engine.ref import parse_ref
from engine.seal import KEY_BYTES, Sealer
from streams.cli.get import conditions, is_good, line
from streams.cli.output import Format, emit, fail
from streams.cli.reading import Output
from streams.cli.roles import named
from streams.clock import now
from streams.sources.manifests import MissingDirectory, read_directory
from streams.sources.stamp import stamped


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
    problems = answer["refused"] + answer["conditions"]

    def whose(row: dict[str, str]) -> str:
        return f"{row['cluster']}: " if len(directories) > 1 else ""

    if output is not Format.TABLE:
        emit(answer, output)
    else:
        for one in answer["refused"]:
            typer.echo(f"{whose(one)}{one['location']}: {one['message']}")
        for one in answer["conditions"]:
            typer.echo(f"{whose(one)}{one['ref']}: {line(one)}")
        for text in answer["warnings"]:
            typer.echo(f"warning: {text}")
        typer.echo(f"{answer['objects']} objects, {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


def judge(sources: list[tuple[str, Path]]) -> dict[str, Any]:
    """Refusals, bad conditions and warnings of directories as clusters. Raises MissingDirectory."""
    # Sealed with a key that nobody keeps: nothing of this leaves the process.
    sealer = Sealer(bytes(KEY_BYTES))
    engine = Engine(sealer)
    time = now()
    refused: list[dict[str, str]] = []
    warnings: list[str] = []
    places: dict[str, str] = {}
    for number, (cluster, directory) in enumerate(sources):
        reading = read_directory(directory, cluster)
        puts = tuple(
            Put(ref, stamped(ref, one.object, None, time, sealer)) for ref, one in sorted(reading.objects.items())
        )
        engine.apply(ChangeSet("default", cluster, "check", "check", time, "check", puts), number)
        refused += [
            {"cluster": cluster, "location": one.location, "message": one.message} for one in reading.refused.values()
        ]
        warnings += reading.warnings
        places |= {str(ref): one.location for ref, one in reading.objects.items()}
    engine.apply(ChangeSet("default", "", "check", "tick", time, "check", (Tick(),)), len(sources))
    found = [
        {"cluster": parse_ref(key).cluster, "ref": _short(key), "location": places.get(key, ""), **one}
        for key, status in sorted(engine.everything().statuses.set.items())
        for one in conditions(status["status"])
        if not is_good(one)
    ]
    # Our own conditions tell of what is served all the same.
    warnings += [f"{one['ref']}: {one['message']}" for one in found if "/" in one["type"]]
    found = [one for one in found if "/" not in one["type"]]
    return {"objects": len(places), "refused": refused, "conditions": found, "warnings": warnings}


def _short(key: str) -> str:
    ref = parse_ref(key)
    return f"{ref.kind} {ref.namespace}/{ref.name}"
