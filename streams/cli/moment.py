"""`--at`: which moment of the log a read command answers of, and the same tables of then as of now."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from engine.models.duration import milliseconds
from streams.cli.output import fail
from streams.cli.reading import resolved, rows
from streams.codec import NewerSchema, dumps
from streams.ports import Log
from streams.topics import Topic
from streams.view import read_convergence

if TYPE_CHECKING:
    from engine.engine import Engine
    from streams.settings import Settings

MOMENT: Final = "an offset, a time (2026-11-24T14:03; 14:03:20 is the last one that was), or so long ago (10m)"
At = Annotated[
    str | None,
    typer.Option("--at", help=f"As of {MOMENT}."),
]
_OFFSET = re.compile(r"-?\d+")
Rows = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tables:
    """What read commands read, at one moment; each answers rows by key, sorted."""

    state: Callable[[], Awaitable[Rows]]
    statuses: Callable[[], Awaitable[Rows]]
    nodes: Callable[[], Awaitable[Rows]]
    convergence: Callable[[], Awaitable[Rows]]
    """Of a moment that is past what was wanted counts as acknowledged: who had acknowledged what is not in the log."""


async def tables(settings: Settings, log: Log, partition: int, at: str | None) -> Tables:
    """The tables of now, or of `--at`. Raises NotYet or LogError; a moment that cannot be read ends the command."""
    if at is None:
        await resolved(settings, log)
        return _now(log, partition)
    return _then(await engine_of(settings, log, partition, at))


async def engine_of(settings: Settings, log: Log, partition: int, at: str) -> Engine:
    """An engine of that moment. A moment that cannot be read ends the command, with 2 for one that is none."""
    from engine.engine import Engine  # noqa: PLC0415  slow to import
    from engine.seal import Sealer  # noqa: PLC0415
    from streams.main import engine_settings, key  # noqa: PLC0415
    from streams.past import NotKept, engine_at, offset_at  # noqa: PLC0415

    meant = moment(at, datetime.now().astimezone())
    if not settings.key_file.exists():
        fail(f"there is no sealing key at {settings.key_file}: name the --data or PENSTOCK_SEALING_KEY of this log", 3)
    sealer = Sealer(key(settings))
    try:
        to = meant if isinstance(meant, int) else await offset_at(log, partition, int(meant.timestamp() * 1000))
        return await engine_at(log, partition, lambda: Engine(sealer, engine_settings(settings)), to)
    except NotKept as error:
        fail(f"--at {at}: {error}", 1)
    except NewerSchema as error:
        fail(str(error), 3)


async def last(log: Log, partition: int) -> int:
    """The last offset of the log, a marker's perhaps; -1 of an empty one. Raises LogError."""
    return (await log.ends(Topic.CHANGES, partition))[1] - 1


def moment(text: str, now: datetime, option: str = "--at") -> int | datetime:
    """What `--at` or another option says: an offset, or a time that was. What is neither ends the command with 2."""
    if _OFFSET.fullmatch(text):
        return int(text)
    found = _time(text, now)
    if found is None:
        known = "give an offset, a time such as 2026-11-24T14:03 or 14:03:20, or 10m for ago"
        fail(f"{option} {text!r} is no moment: {known}", 2)
    if found > now:
        fail(f"{option} {text!r} is yet to come: it is {now.isoformat(timespec='seconds')} now", 2)
    return found


def _time(text: str, now: datetime) -> datetime | None:
    ago = milliseconds(text)
    if ago is not None:
        return now - timedelta(milliseconds=ago)
    with suppress(ValueError):
        of_day = time.fromisoformat(text)
        today = datetime.combine(now.date(), of_day).astimezone()
        return today if today <= now else datetime.combine(now.date() - timedelta(days=1), of_day).astimezone()
    with suppress(ValueError, OverflowError):
        return datetime.fromisoformat(text).astimezone()
    return None


def _now(log: Log, partition: int) -> Tables:
    def read(topic: Topic) -> Callable[[], Awaitable[Rows]]:
        return lambda: rows(log, topic, partition)

    return Tables(read(Topic.STATE), read(Topic.STATUS), read(Topic.GRAPH), lambda: read_convergence(log, partition))


def _then(engine: Engine) -> Tables:
    update = engine.everything()

    def told(found: Any) -> Callable[[], Awaitable[Rows]]:
        async def read() -> Rows:
            return {key: orjson.loads(dumps(found[key])) for key in sorted(found)}

        return read

    gateways = {gateway for one in update.statuses.set.values() for gateway in one["programmed"]}
    reached = {
        one: {"gateway": one, "proxies": {}, "acknowledged": engine.offset, "undeployed": ""} for one in gateways
    }
    return Tables(told(engine.state()), told(update.statuses.set), told(update.nodes.set), told(reached))
