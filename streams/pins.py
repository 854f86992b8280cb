"""Serves the past: says pins and rollbacks to the log, and sees that they are of what the log held when they came.

It decides nothing of what they mean; see `engine.pins`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from engine.engine import VERSION
from engine.events import CONTROL, Change, ChangeSet, Delete, Override, Pin, Put, SyncEnd, Unpin
from engine.fold import OVERRIDE, PIN
from engine.history.overrides import configuration, overrides
from engine.layers import is_configuration, is_of_then
from engine.ref import Ref
from streams.clock import now
from streams.codec import encode_change_set
from streams.past import change_sets, milliseconds
from streams.ports import Log, LogError
from streams.rejected import reason_of
from streams.topics import Topic
from streams.view import read_table

Rows = dict[str, Any]
_TRIES: Final = 5
_WAIT_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.02
_LATELY_MILLIS: Final = 600_000
"""In which it was said, though the clock of who rejected it goes otherwise."""


class NotApplied(LogError):  # noqa: N818
    """It is in the log, and not in force yet; the message says where it stands and why that may be."""


@dataclass(frozen=True, slots=True)
class Teller:
    """Who says it, and to which partition of a log. `cluster` is whose it is, "" for several."""

    log: Log
    partition: int
    domain: str
    actor: str
    cluster: str = ""

    async def say(self, name: str, changes: Sequence[Change]) -> int:
        """Append a change set; answers its last record's offset. Raises LogError."""
        said = ChangeSet(self.domain, self.cluster, CONTROL, name, now(), self.actor, tuple(changes))
        async with self.log.writer(f"{CONTROL}-{self.domain}-{name}") as writer:
            return (await writer.write(encode_change_set(said, self.partition)))[-1]

    async def state(self) -> tuple[Rows, int]:
        """The fold state as it is resolved, and its offset. Raises Unavailable."""
        table = await read_table(self.log, Topic.STATE, self.partition)
        return {key: orjson.loads(row.value or b"null") for key, row in table.rows.items()}, table.progress

    async def applied(self, offset: int) -> None:
        """Wait until an offset is resolved. Raises NotApplied, when it was rejected too, or Unavailable."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while (await read_table(self.log, Topic.INFRA, self.partition)).progress < offset:
            if time.monotonic() > deadline:
                msg = f"it is in the log at offset {offset} and waits there for the resolver: see `penstock status`"
                raise NotApplied(msg)
            await asyncio.sleep(_LOOK_SECONDS)
        reason = await reason_of(self.log, self.partition, offset, milliseconds(now()) - _LATELY_MILLIS)
        if reason is not None:
            msg = f"it is in the log at offset {offset}, and was rejected there: {reason}"
            raise NotApplied(msg)


async def serve(teller: Teller, pin: Pin, then: Rows, takes: Callable[[Ref], bool]) -> tuple[Pin, int]:
    """Have the past of `then` served; answers the pin that is in force and its offset.

    What changed of the configuration between the look and the append would be in neither: then it is said anew, in
    place of what was said. Raises LogError or NotApplied.
    """
    old, lifted = configuration(then.items(), VERSION, pin.gateway), list[Change]()
    for number in range(1, _TRIES + 1):
        told = replace(pin, id=f"{pin.id}-{number}") if lifted else pin
        rows, seen = await teller.state()
        rows = {key: row for key, row in rows.items() if not key.startswith(tuple(_keys(lifted)))}
        found = overrides(told.id, old, configuration(rows.items(), VERSION), takes)
        offset = await teller.say(told.id, [*lifted, told, *found])
        await teller.applied(offset)
        if not await _moved(teller, (seen, offset), lambda ref: takes(ref) and _concerns(pin, ref)):
            return told, offset
        lifted = [Unpin(told.id)]
    msg = (
        f"it is in force as {told.id}, at offset {offset}, but configuration keeps changing beside it: what changed "
        f"in that moment is served as it is today. Say it once more, or end it: penstock unpin {told.id}"
    )
    raise NotApplied(msg)


def _concerns(pin: Pin, ref: Ref) -> bool:
    return is_configuration(ref) and (pin.gateway is None or is_of_then(ref, str(pin.gateway)))


def differing(then: Rows, rows: Rows, gateway: Ref | None, takes: Callable[[Ref], bool]) -> tuple[Override, ...]:
    """What is to be overridden for `then` to be served."""
    return overrides("", configuration(then.items(), VERSION, gateway), configuration(rows.items(), VERSION), takes)


async def _moved(teller: Teller, between: tuple[int, int], counts: Callable[[Ref], bool]) -> bool:
    """Whether the log says something that counts between what was seen and what was said."""
    seen, offset = between
    async for said, _ in change_sets(teller.log, teller.partition, seen + 1, offset - 1):
        for change in said.changes:
            if isinstance(change, Put | Delete) and counts(change.ref):
                return True
            if isinstance(change, SyncEnd | Pin | Unpin):
                return True
    return False


def _keys(lifted: Sequence[Change]) -> list[str]:
    names = [one.pin for one in lifted if isinstance(one, Unpin)]
    return [key for name in names for key in (f"{PIN}{name}", f"{OVERRIDE}{name}/")] or ["\0"]
