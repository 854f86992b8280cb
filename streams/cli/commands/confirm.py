"""`penstock confirm`: keep what is served from the past on trial."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.output import Format, emit, fail
from streams.cli.reading import Brokers, Data, Output, chosen, rows, with_log
from streams.cli.undoing import said
from streams.ports import Log
from streams.topics import Topic


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=confirm.__doc__)(confirm)


def confirm(
    pin: Annotated[str, typer.Argument(help="What `penstock pins` calls it.")],
    *,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Keep a pin or rollback that would end unless confirmed. Exit code 1: there is none, or it is not on trial."""
    from engine.events import Confirm  # noqa: PLC0415  slow to import
    from engine.fold import PIN  # noqa: PLC0415

    settings = chosen(data, brokers)

    async def work(log: Log, partition: int) -> int:
        row = (await rows(log, Topic.STATE, partition)).get(f"{PIN}{pin}")
        if row is None:
            fail(f"there is no pin {pin}, or it has ended: see `penstock pins`", 1)
        if not row["on_trial"]:
            fail(f"pin {pin} does not wait for a confirmation", 1)
        teller = said(settings, log, partition, "")
        offset = await teller.say(f"confirm-{pin}", [Confirm(pin)])
        await teller.applied(offset)
        return offset

    offset = with_log(settings, work)
    if output is Format.TABLE:
        typer.echo(f"{pin} stays, from offset {offset} on: `penstock unpin {pin}` ends it")
    else:
        emit({"pin": pin, "offset": offset}, output)
