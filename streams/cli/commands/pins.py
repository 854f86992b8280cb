"""`penstock pins`: what is served from the past, and in what the clusters differ from it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams.cli.output import Format, emit, fail, say, table
from streams.cli.reading import Brokers, Data, Output, chosen, rows, with_log
from streams.ports import Log
from streams.topics import Topic

_HEADS = ("pin", "serves", "offset", "since", "until", "by", "reason", "drift")
_NOISE = ("generation", "creationTimestamp", "resourceVersion", "uid")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=pins.__doc__)(pins)


def pins(
    pin: Annotated[str | None, typer.Argument(help="Only this one, with each object that differs.")] = None,
    *,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print pins and rollbacks: what they serve, since when, until when, by whom, why, and the drift.

    Drift are the objects that are otherwise in their cluster than they are served. Exit code 1: there is no such pin.
    """
    settings = chosen(data, brokers)

    async def work(log: Log, partition: int) -> dict[str, Any]:
        return await rows(log, Topic.STATE, partition)

    found = pinned(with_log(settings, work))
    if pin is not None:
        found = [one for one in found if one["pin"] == pin]
        if not found:
            fail(f"there is no pin {pin}, or it has ended", 1)
    if output is not Format.TABLE:
        emit(found, output)
        return
    if not found:
        say("nothing is served from the past")
        return
    table(_HEADS, [_row(one) for one in found])
    for one in found if pin is not None else ():
        for each in one["drift"]:
            say(f"  {each['ref']} {each['verb']}")
            for place in each["places"]:
                say(f"      {place['path']}: {place['before']} -> {place['after']}")


def pinned(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Pins and rollbacks of a fold state, the oldest first, each with its drift."""
    found = [(row["offset"], key.removeprefix("pin/"), row) for key, row in state.items() if key.startswith("pin/")]
    return [{"pin": pin, **row, "drift": _drift(state, pin)} for _, pin, row in sorted(found, key=lambda one: one[:2])]


def until(row: dict[str, Any]) -> str:
    """When it ends, in words."""
    if not row["until"]:
        return "unpinned"
    return f"{row['until']}{' unless confirmed' if row['on_trial'] else ''}"


def what(row: dict[str, Any]) -> str:
    """Whom it concerns, in words."""
    return "/".join(["gateway", *row["gateway"].split("/")[3:]]) if row["gateway"] else "objects"


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    drift = f"{len(one['drift'])} objects"
    return one["pin"], what(one), one["to"], one["time"], until(one), one["actor"], one["reason"], drift


def _drift(state: dict[str, Any], pin: str) -> list[dict[str, Any]]:
    from engine.history.paths import differences  # noqa: PLC0415  slow to import

    prefix, found = f"override/{pin}/", []
    for key, row in sorted(state.items()):
        if not key.startswith(prefix):
            continue
        ref = key.removeprefix(prefix)
        served, written = _written(row["object"]), _written((state.get(f"resource/{ref}") or {}).get("object"))
        if served == written:
            continue
        verb = "added since" if served is None else "removed since" if written is None else "changed since"
        places = differences(served, written) if served is not None and written is not None else ()
        found.append({"ref": ref, "verb": verb, "places": [one._asdict() for one in places]})
    return found


def _written(object_: dict[str, Any] | None) -> dict[str, Any] | None:
    if object_ is None:
        return None
    metadata = {name: one for name, one in object_["metadata"].items() if name not in _NOISE}
    return {**object_, "metadata": metadata}
