"""Which objects the graph asks for, as penstock.infra says: nobody else's Secrets enter the log."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from engine.outputs.channels import LOOKUP, is_lookup
from engine.ref import Ref, parse_ref
from streams.backoff import Backoff
from streams.ports import Log, LogError
from streams.reminder import Reminder
from streams.topics import Topic
from streams.view import follow_table

_LOG = structlog.get_logger()


async def lookups(log: Log, partition: int = 0) -> AsyncIterator[frozenset[Ref]]:
    """All that is asked for, whole each time, whenever it changed, for ever; nothing before anything is resolved."""
    asked: frozenset[str] | None = None
    reminder, backoff = Reminder(), Backoff()
    while True:
        names: set[str] = set()
        try:
            async for batch in follow_table(log, Topic.INFRA, partition):
                backoff.reset()
                if batch.progress < 0:
                    continue
                if batch.snapshot:
                    names = set()
                told = [one for one in batch.rows if is_lookup(one)]
                for name in told:
                    (names.discard if batch.rows[name] is None else names.add)(name)
                # Compared only where something of them was said: most updates ask for nothing.
                if (told or batch.snapshot) and (current := frozenset(names)) != asked:
                    asked = current
                    yield frozenset(parse_ref(one.removeprefix(LOOKUP)) for one in current)
        except LogError as error:
            if reminder.is_due(str(error)):
                _LOG.warning("Secrets that come to be asked for wait for the log", reason=str(error))
            await backoff.wait()
