"""Writes a checkpoint of the fold state whenever enough was applied since the last one."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from streams import checkpoints
from streams.backoff import Backoff
from streams.checkpoints import Mark
from streams.ports import Log, LogError
from streams.reminder import Reminder
from streams.topics import BEAT_SECONDS, Topic

_LOG = structlog.get_logger()
_SECONDS: Final = 120.0
"""For the transaction of one."""


async def keep_checkpoints(log: Log, domain: str, partition: int, turn: float = BEAT_SECONDS) -> None:
    """Look for ever, every `turn` seconds, and again when the log is back."""
    reminder, backoff = Reminder(), Backoff()
    last: Mark | None = None
    while True:
        try:
            last = await checkpoint_if_due(log, domain, partition, last)
        except LogError as error:
            if reminder.is_due(str(error)):
                _LOG.warning("a checkpoint waits for the log", reason=str(error))
            await backoff.wait()
            continue
        backoff.reset()
        await asyncio.sleep(turn)


async def checkpoint_if_due(log: Log, domain: str, partition: int, last: Mark | None) -> Mark | None:
    """The last checkpoint there is; `last` is what is known of it. Raises LogError.

    Several replicas may look: who writes looks once more, under a name that fences the others.
    """
    if not checkpoints.is_due(last, (await log.ends(Topic.CHANGES, partition))[1]):
        return last
    found = await checkpoints.marks(log, partition)
    last = found[-1] if found else None
    if not checkpoints.is_due(last, (await log.ends(Topic.CHANGES, partition))[1]):
        return last
    async with log.writer(f"checkpoints-{domain}", _SECONDS) as writer:
        mark = await checkpoints.write_checkpoint(log, writer, partition, domain)
    if mark is not None:
        _LOG.info("wrote a checkpoint", offset=mark.offset, rows=mark.rows)
    return mark or last
