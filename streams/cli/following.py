"""Follows a topic for a person: says once what keeps it from going on, and goes on when that is over.

It mends nothing, and no trouble ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.backoff import Backoff
from streams.cli.output import note
from streams.cli.pipe import end_unread
from streams.cli.reading import trouble_of
from streams.diagnosis import missing_topics
from streams.ports import Log, LogError, Record, TopicMissing, Unavailable
from streams.topics import Topic

if TYPE_CHECKING:
    from streams.settings import Settings

_LOOK_SECONDS = 5.0
"""How long is followed between two looks for trouble: of a broker that is away a follower itself says nothing."""


@dataclass(slots=True)
class _Troubles:
    """What is wrong now, each in words; standard error gets each once, and a word when none is left."""

    now: set[str] = field(default_factory=set)

    def tell(self, found: set[str]) -> None:
        """Say what was not wrong before."""
        for words in sorted(found - self.now):
            note(words)
        if self.now and not found:
            note("goes on")
        self.now = found


async def follow(settings: Settings, topic: Topic, start: int, show: Callable[[list[Record]], None]) -> None:
    """Show what comes from `start`, for ever; the log is sought anew each time, its broker may come back elsewhere.

    What `with_log` says when it opens the log is not said again.
    """
    end_unread(asyncio.get_running_loop())
    at, backoff, troubles = start, Backoff(1.0), _Troubles(await _said(settings))
    while True:
        log, found = await _looked(settings)
        troubles.tell(found)
        if log is None:
            await backoff.wait()
            continue
        try:
            _, end = await log.ends(topic, settings.partition)
            if end < at:
                note(f"{topic} ends at offset {end - 1} now: what is new from there is shown")
                at = end
            async with asyncio.timeout(_LOOK_SECONDS):
                async for records in log.follow(topic, settings.partition, at):
                    show(records)
                    at = records[-1].offset + 1
        except TimeoutError:
            backoff.reset()
        except (LogError, OSError) as error:
            # The next look says it, when it lasts. A topic that comes back begins anew.
            at = 0 if isinstance(error, TopicMissing) else at
            await backoff.wait()


async def _said(settings: Settings) -> set[str]:
    """What was said when the log was opened."""
    from streams.main import kafka_log  # noqa: PLC0415  slow to import

    with suppress(LogError, OSError):
        trouble = await trouble_of(settings, kafka_log(settings))
        return set() if trouble is None else {trouble}
    return set()


async def _looked(settings: Settings) -> tuple[Log | None, set[str]]:
    """The log, None when it cannot be read now, and what keeps it from going on."""
    from streams.main import kafka_log, remedy  # noqa: PLC0415  slow to import

    try:
        log = kafka_log(settings)
    except (LogError, OSError) as error:
        return None, {str(error)}
    try:
        found = [await trouble_of(settings, log), *await missing_topics(log, settings.partition)]
    except Unavailable as error:
        return None, {f"{error}: {remedy(settings)}"}
    except (LogError, OSError) as error:
        return None, {str(error)}
    return log, {one for one in found if one is not None}
