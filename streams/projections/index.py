"""Writes blocks of the index of penstock.updates as updates come; an index that was lost is filled again."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from streams.backoff import Backoff
from streams.index import EVERY, indexed, write_blocks
from streams.ports import Log, LogError
from streams.reminder import Reminder
from streams.topics import BEAT_SECONDS, Topic

_LOG = structlog.get_logger()
_SECONDS: Final = 120.0
"""For the transaction of one block."""


async def keep_index(log: Log, domain: str, partition: int, turn: float = BEAT_SECONDS) -> None:
    """Look for ever, every `turn` seconds, and again when the log is back."""
    reminder, backoff, at = Reminder(), Backoff(), -1
    while True:
        try:
            at = await index_if_due(log, domain, partition, at)
        except LogError as error:
            if reminder.is_due(str(error)):
                _LOG.warning("the index waits for the log", reason=str(error))
            await backoff.wait()
            at = -1
            continue
        backoff.reset()
        await asyncio.sleep(turn)


async def index_if_due(log: Log, domain: str, partition: int, at: int) -> int:
    """The position up to which updates are indexed; `at` is what is known of it, -1 for nothing. Raises LogError.

    Several replicas may look: who writes looks once more, under a name that fences the others.
    """
    begin, end = await log.ends(Topic.INDEX, partition)
    first, last = await log.ends(Topic.UPDATES, partition)
    is_known = 0 <= at <= last and (end > begin or at == 0)
    if not is_known:
        at = await indexed(log, partition)
    if last - max(first, at) < EVERY:
        return at
    async with log.writer(f"index-{domain}", _SECONDS) as writer:
        written = await write_blocks(log, writer, partition, domain)
    if written:
        _LOG.debug("wrote blocks of the index", blocks=written)
        return await indexed(log, partition)
    return at
