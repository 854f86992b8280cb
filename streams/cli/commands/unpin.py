"""`penstock unpin`: end what is served from the past."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams.cli.naming import wanted
from streams.cli.output import Format, emit, fail
from streams.cli.reading import Brokers, Data, Output, chosen, rows, with_log
from streams.cli.undoing import said
from streams.ports import Log
from streams.topics import Topic

_PIN = "pin/"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=unpin.__doc__)(unpin)


def unpin(
    pin: Annotated[str | None, typer.Argument(help="What `penstock pins` calls it, or gateway/NAMESPACE/NAME.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All pins and rollbacks.")] = False,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """End a pin or rollback: what the sources say now is served. Exit code 1: there is none."""
    from engine.events import Unpin  # noqa: PLC0415  slow to import

    if (pin is None) != every:
        fail("name a pin, or give --all", 2)
    settings = chosen(data, brokers)

    async def work(log: Log, partition: int) -> tuple[list[str], int]:
        state = await rows(log, Topic.STATE, partition)
        there = {key.removeprefix(_PIN): row for key, row in state.items() if key.startswith(_PIN)}
        meant = sorted(there) if pin is None else _meant(pin, there)
        if not meant:
            fail(f"there is no pin {pin}: see `penstock pins`" if pin is not None else "nothing is pinned", 1)
        teller = said(settings, log, partition, "")
        offset = await teller.say(f"unpin-{meant[0]}", [Unpin(one) for one in meant])
        await teller.applied(offset)
        return meant, offset

    ended, offset = with_log(settings, work)
    if output is Format.TABLE:
        typer.echo(f"{', '.join(ended)} ended at offset {offset}")
    else:
        emit({"pins": ended, "offset": offset}, output)


def _meant(pin: str, there: dict[str, Any]) -> list[str]:
    from engine.ref import parse_ref  # noqa: PLC0415  slow to import

    if "/" not in pin:
        return [pin] if pin in there else []
    one = wanted(pin)
    return sorted(key for key, row in there.items() if row["gateway"] and one.takes(parse_ref(row["gateway"])))
