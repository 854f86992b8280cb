"""What keeps a domain from going on, as the topics tell it; it mends nothing, writes nothing, and asks no process."""

from __future__ import annotations

import asyncio

from engine.changes import Garbage
from streams.codec import NewerSchema, decode_change_set
from streams.continuity import refuse
from streams.ports import Log, LogBehind, TopicMissing
from streams.topics import Topic
from streams.view import read_table


async def diagnose(log: Log, partition: int) -> str | None:
    """Why the resolver goes no further, with the remedy; None when nothing stands in its way. Raises Unavailable."""
    try:
        # Each output knows the progress; this one is small.
        progress = (await read_table(log, Topic.INFRA, partition)).progress
        _, end = await log.ends(Topic.CHANGES, partition)
        refuse(progress, end)
        async for records in log.read(Topic.CHANGES, partition, progress + 1):
            decode_change_set(records[0])
            break
    except Garbage:
        return None
    except (LogBehind, TopicMissing, NewerSchema) as error:
        return str(error)
    return None


async def missing_topics(log: Log, partition: int) -> list[str]:
    """What to do about each topic that is not there. Raises Unavailable."""

    async def ask(topic: Topic) -> str | None:
        try:
            await log.ends(topic, partition)
        except TopicMissing as error:
            return str(error)
        except LogBehind:
            return None
        return None

    return [one for one in await asyncio.gather(*map(ask, Topic)) if one is not None]
