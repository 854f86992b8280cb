"""`penstock wait`: ends when proxies run an offset, for pipelines."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
import typer

from engine.fold import QUARANTINE, RESOURCE
from engine.models.duration import milliseconds
from engine.quarantine import concerned, held, left_out
from engine.ref import parse_ref
from streams.cli.commands.convergence import is_meant
from streams.cli.output import Format, emit, fail, note
from streams.cli.reading import Brokers, Cluster, Data, Output, chosen, rows, with_log
from streams.lag import Asking, Behind, behind, lowest_acknowledged
from streams.past import last_offset
from streams.ports import Log
from streams.topics import Topic
from streams.view import read_convergence, read_table

_LOOK_SECONDS = 0.1
_QUIET_SECONDS = 2.0
_LOOK_BACK_SECONDS = 30.0
"""How long at least updates of long ago are looked through: with --timeout 0s it is asked what runs now."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=wait.__doc__)(wait)


def wait(  # noqa: PLR0913  typer makes an option of each
    offset: Annotated[str, typer.Argument(help="An offset of the log; or now, the last that there is.")],
    gateway: Annotated[str | None, typer.Option(help="Only this one: NAME or NAMESPACE/NAME of a Gateway.")] = None,
    timeout: Annotated[str, typer.Option(help="How long at most, such as 30s or 5m.")] = "30s",
    *,
    cluster: Cluster = None,
    output: Output = Format.TABLE,
    data: Data = None,
    brokers: Brokers = None,
) -> None:
    """Wait until all connected proxies of every gateway, at least one of each, run an offset of the log.

    Exit code 0: they do. 1: they do, but for an object that this offset changed and proxies rejected: its last good
    revision runs, or a hostname of it is left out. 6: not in time; standard error says who lags and why.
    """
    settings = chosen(data, brokers, cluster)
    wanted = _offset(offset)
    limit = milliseconds(timeout)
    if limit is None:
        fail(f'--timeout {timeout!r} is no duration: write it as "1h30m", "10s" or "500ms"', 2)
    wish = _Wish(wanted, gateway, settings.cluster, limit / 1000)
    found = with_log(settings, lambda log, partition: _waited(log, partition, wish))
    if output is not Format.TABLE:
        emit(found, output)
    for one in found["behind"]:
        note(f"Gateway {_short(one['gateway'])}: {one['reason']}")
    for one in found["held"]:
        note(f"{one['object']} {_instead(one['left_out'])}: {one['error'][:300]}")
    if not found["is_there"]:
        fail(f"offset {found['offset']} is not run everywhere after {timeout}", 6)
    if output is Format.TABLE:
        typer.echo(f"offset {found['offset']} is run by {found['gateways']} gateways")
    sys.exit(int(bool(found["held"])))


@dataclass(frozen=True, slots=True)
class _Wish:
    offset: int | None
    gateway: str | None
    cluster: str
    seconds: float

    def means(self, gateway: str) -> bool:
        """Whether it is about this Gateway, a ref."""
        return is_meant(gateway, self.gateway, self.cluster)


def _offset(text: str) -> int | None:
    if text == "now":
        return None
    if not text.isascii() or not text.isdecimal():
        fail(f"{text!r} is no offset: give a number, such as `penstock log` prints, or now", 2)
    return int(text)


async def _waited(log: Log, partition: int, wish: _Wish) -> dict[str, Any]:
    offset = wish.offset if wish.offset is not None else await _last(log, partition)
    begin, told = time.monotonic(), ""
    asking = _asking(log, partition, wish)
    while True:
        late, there = await _late(log, partition, wish, offset, asking)
        waited = time.monotonic() - begin
        if not late or waited >= wish.seconds:
            break
        words = "; ".join(f"{_short(one.gateway)}: {one.reason}" for one in late[:3])
        if waited > _QUIET_SECONDS and words != told:
            told = words
            note(f"waits for {words}")
        await asyncio.sleep(min(_LOOK_SECONDS, wish.seconds))
    return {
        "offset": offset,
        "is_there": not late,
        "gateways": len(there),
        "behind": [{"gateway": one.gateway, "reason": one.reason} for one in late],
        "held": await _held(log, partition, wish, offset) if not late else [],
    }


def _asking(log: Log, partition: int, wish: _Wish) -> Asking:
    def begins(many: int) -> None:
        note(f"looks through {many} offsets: some proxies acknowledged nothing for as long")

    return Asking(log, partition, max(wish.seconds, _LOOK_BACK_SECONDS), begins)


async def _last(log: Log, partition: int) -> int:
    """The last change set's offset. A log that has none ends the command with 3."""
    last = await last_offset(log, partition)
    if last < 0:
        fail("the log holds no change set yet: start `penstock run`, or name the right --data or --brokers", 3)
    return last


async def _wanting(log: Log, partition: int) -> set[str]:
    """The Gateways that want proxies."""
    found = (await rows(log, Topic.INFRA, partition)).values()
    return {one["gateway"] for one in found if isinstance(one, dict) and isinstance(one.get("gateway"), str)}


async def _late(log: Log, partition: int, wish: _Wish, offset: int, asking: Asking) -> tuple[list[Behind], set[str]]:
    """Who does not run the offset, and all that are looked at."""
    found = await read_convergence(log, partition)
    mine = {name: row for name, row in found.items() if wish.means(name)}
    wanting = {one for one in await _wanting(log, partition) if wish.means(one)}
    runs = lowest_acknowledged(mine.values())
    # Where all that have acknowledged something run it, however long ago it was, nothing has to be looked for.
    there = await asking.recent(runs if runs is not None and runs < offset else sys.maxsize)
    names = wanting | {name for name, row in mine.items() if row["lowest"] is not None}
    if there.resolved < offset:
        return [Behind("-", f"the log is resolved to {there.resolved} only")], names
    if not names:
        whose = f"Gateway {wish.gateway}" if wish.gateway is not None else "any Gateway"
        return [Behind("-", f"there is no proxy of {whose}, and none is wanted")], names
    return behind(mine, wanting, there, offset), names


async def _held(log: Log, partition: int, wish: _Wish, offset: int) -> list[dict[str, Any]]:
    """Objects that this offset changed and a quarantine holds, or of which it leaves out a virtual host."""
    there = (await read_table(log, Topic.STATE, partition, under=QUARANTINE)).rows
    quarantines = [orjson.loads(record.value or b"{}") for _, record in sorted(there.items())]
    objects = {(text, left_out(one)): one["error"] for one in quarantines for text in _accused(one)}
    if not objects:
        return []
    state = await rows(log, Topic.STATE, partition)
    return [
        {"object": text, "left_out": host, "error": error}
        for (text, host), error in objects.items()
        if wish.cluster in ("", parse_ref(text).cluster)
        and (state.get(f"{RESOURCE}{text}") or {}).get("offset") == offset
    ]


def _accused(quarantine: dict[str, Any]) -> tuple[str, ...]:
    """Of a virtual host that is left out all that stand in it: each of them is without."""
    return tuple(concerned(quarantine)) if left_out(quarantine) else held(quarantine)


def _instead(host: str) -> str:
    if not host:
        return "is held at its last good revision"
    return f"has a virtual host, {host}, that is left out: requests to it get no route"


def _short(gateway: str) -> str:
    return "/".join(gateway.split("/")[3:]) or gateway
