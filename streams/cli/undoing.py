"""What the commands that serve the past share: why, how long, the moment, and who says it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.models.duration import milliseconds
from streams.cli.actor import user
from streams.cli.moment import engine_of
from streams.cli.output import Format, emit, fail
from streams.ports import Log

if TYPE_CHECKING:
    from engine.ref import Ref
    from streams.pins import Teller
    from streams.settings import Settings


def _given(reason: str) -> str:
    """A reason that says something; none ends the command with 2."""
    if not reason.strip():
        fail("--reason says nothing: say why, others read it in the status and in the log", 2)
    return reason


Reason = Annotated[
    str, typer.Option("--reason", "-m", callback=_given, help="Why: others read it in the status and in the log.")
]
For = Annotated[str | None, typer.Option("--for", help="It ends after so long, such as 30m.")]
Until = Annotated[
    str | None, typer.Option("--until-confirmed", help="It ends after so long unless `penstock confirm`.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def new_id() -> str:
    """A name that a person can type."""
    return uuid.uuid4().hex[:8]


def ending(for_: str | None, until_confirmed: str | None) -> Callable[[], tuple[str, bool]]:
    """When it ends, counted from the call, and whether on trial. What is off ends the command with 2."""
    if for_ is not None and until_confirmed is not None:
        fail("--for ends it in any case, --until-confirmed unless it is confirmed: leave one of the two out", 2)
    text = for_ if for_ is not None else until_confirmed
    if text is None:
        return lambda: ("", False)
    after = milliseconds(text)
    if not after:
        name = "--for" if for_ is not None else "--until-confirmed"
        fail(f"{name} {text!r} is no duration: write it as 30m or 1h30m", 2)

    def until() -> tuple[str, bool]:
        end = datetime.now(UTC) + timedelta(milliseconds=after)
        return end.isoformat(timespec="milliseconds").replace("+00:00", "Z"), until_confirmed is not None

    return until


async def past(settings: Settings, log: Log, partition: int, at: str) -> tuple[int, dict[str, Any]]:
    """An offset, and the fold state of then; a moment that cannot be read ends the command."""
    from engine.engine import VERSION  # noqa: PLC0415  slow to import

    engine = await engine_of(settings, log, partition, at)
    state = engine.state()
    version = (state.get("engine") or {}).get("version", VERSION)
    if version != VERSION:
        note = f"offset {engine.offset} was computed by engine version {version}, and is served as {VERSION} reads it"
        typer.echo(note, err=True)
    return engine.offset, state


def named(state: dict[str, Any]) -> set[Ref]:
    """The objects that there are."""
    from engine.ref import parse_ref  # noqa: PLC0415

    return {parse_ref(key.removeprefix("resource/")) for key in state if key.startswith("resource/")}


def said(settings: Settings, log: Log, partition: int, cluster: str) -> Teller:
    """Who says it to this log."""
    from streams.main import continued  # noqa: PLC0415  slow to import
    from streams.pins import Teller  # noqa: PLC0415

    known = continued(settings, log) if settings.key_file.exists() else log
    return Teller(known, partition, settings.domain, user(), cluster)


def agreed(question: str, *, yes: bool) -> None:
    """Ask, unless told not to; a no ends the command with 1."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def report(done: tuple[str, int], words: str, output: Format) -> None:
    """What is in force now, and how it is ended."""
    pin, offset = done
    if output is Format.TABLE:
        typer.echo(f"{words}, from offset {offset} on: `penstock unpin {pin}` ends it")
    else:
        emit({"pin": pin, "offset": offset}, output)
