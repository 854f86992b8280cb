"""`penstock diff`: what two moments of the log differ in, on four levels."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from streams.cli.moment import MOMENT, engine_of, last
from streams.cli.output import Format, emit, say
from streams.cli.reading import Brokers, Data, Output, chosen, with_log
from streams.codec import dumps
from streams.ports import Log

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.history.diff import Change, Diff, Moment
    from streams.settings import Settings

_RESOURCE = "resource/"
_SHOWN = 20
"""Places of one change that a person reads; all are in JSON."""
_WIDTH = 120


class Level(StrEnum):
    """Of what the difference is told."""

    OBJECTS = "objects"
    ROUTING = "routing"
    ENVOY = "envoy"
    PROXIES = "proxies"


Levels = Annotated[
    list[Level] | None, typer.Option("--level", help="Only this: objects, routing, envoy or proxies; again for more.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=diff.__doc__)(diff)


def diff(
    before: Annotated[str, typer.Argument(help=f"A moment: {MOMENT}.")],
    after: Annotated[str | None, typer.Argument(help="Another; without one, the end of the log.")] = None,
    *,
    level: Levels = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Print what two moments of the log differ in: objects, routing in sentences, Envoy's resources, proxies wanted.

    Exit code 0 whether or not they differ; 1: the log does not hold a moment.
    """
    settings = chosen(data, brokers)

    async def work(log: Log, partition: int) -> Diff:
        from engine.history import diff as compared  # noqa: PLC0415  slow to import

        old, new = await _moments(settings, log, partition, before, after)
        return await asyncio.to_thread(compared.diff, old, new)

    found = with_log(settings, work)
    levels = frozenset(level or Level)
    if output is Format.TABLE:
        say(f"from offset {found.before} to {found.after}")
        print_diff(found, levels)
    else:
        emit(told_diff(found, levels), output)


async def _moments(
    settings: Settings, log: Log, partition: int, before: str, after: str | None
) -> tuple[Moment, Moment]:
    old = _moment(await engine_of(settings, log, partition, before))
    new = _moment(await engine_of(settings, log, partition, after or str(await last(log, partition))))
    return old, new


def _moment(engine: Engine) -> Moment:
    from engine.history.diff import Moment  # noqa: PLC0415  slow to import

    rows = {key: row["object"] for key, row in engine.state().items() if key.startswith(_RESOURCE)}
    objects = {key.removeprefix(_RESOURCE): orjson.loads(dumps(one)) for key, one in rows.items()}
    update = engine.everything()
    proxies = {key: orjson.loads(dumps(one)) for key, one in update.infra.set.items()}
    return Moment(engine.offset, objects, update.fragments.set, proxies)


def told_diff(found: Diff, levels: frozenset[Level]) -> dict[str, Any]:
    """A difference as JSON."""
    told: dict[str, Any] = {"before": found.before, "after": found.after}
    if Level.OBJECTS in levels:
        told["objects"] = [_change(one) for one in found.objects]
    if Level.ROUTING in levels:
        told["routing"] = list(found.routing)
    if Level.ENVOY in levels:
        told["envoy"] = [_change(one) for one in found.resources]
    if Level.PROXIES in levels:
        told["proxies"] = [_change(one) for one in found.proxies]
    return told


def _change(one: Change) -> dict[str, Any]:
    return {"key": one.key, "verb": one.verb, "places": [place._asdict() for place in one.places]}


def print_diff(found: Diff, levels: frozenset[Level]) -> None:
    """A difference for a person."""
    if not found:
        say("nothing differs")
    if Level.OBJECTS in levels:
        section("objects", [line for one in found.objects for line in _lines(one, "/".join(one.key.split("/")[2:]))])
    if Level.ROUTING in levels:
        section("routing", [f"  {one}" for one in found.routing])
    if Level.ENVOY in levels:
        section("envoy", [line for one in found.resources for line in _lines(one, "/".join(one.key.split("/")[3:]))])
    if Level.PROXIES in levels:
        section("proxies", [line for one in found.proxies for line in _lines(one, "/".join(one.key.split("/")[2:]))])


def section(name: str, lines: list[str]) -> None:
    """Lines with a head, where there are any."""
    if lines:
        say("")
        say(name)
        for line in lines:
            say(line)


def _lines(change: Change, shown: str) -> list[str]:
    lines = [f"  {shown} {change.verb}"]
    lines += [f"      {one.path}: {_value(one.before)} -> {_value(one.after)}" for one in change.places[:_SHOWN]]
    if (more := len(change.places) - _SHOWN) > 0:
        lines.append(f"      and {more} more")
    return lines


def _value(value: Any) -> str:
    text = value if isinstance(value, str) and value.startswith("(") else orjson.dumps(value).decode()
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"
