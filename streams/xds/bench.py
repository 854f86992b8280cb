"""Where the judge of rejections sits, and how verdicts are said to the log: again, when the resolver rejects one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import structlog

from engine.events import Change, ChangeSet, Quarantine
from streams.backoff import Backoff
from streams.codec import encode_change_set
from streams.ports import Log, LogError
from streams.rejected import reason_behind
from streams.reminder import Reminder
from streams.telemetry.metrics import LIFTED, QUARANTINES, Meters
from streams.topics import Topic
from streams.view import read_table
from streams.xds.court import Court

_LOG = structlog.get_logger()
_LOOK_SECONDS: Final = 10.0
"""After which it is looked what became of a verdict, and whether one that was rejected is taken when said anew."""
_LONGEST_SECONDS: Final = 120.0
"""Until that is looked at, where it was rejected again and again: each time is a record more that is rejected."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the judge sits: `court` is None without an Envoy to ask, and then nobody is found guilty."""

    log: Log
    court: Court | None
    now: Callable[[], str]
    domain: str = "default"
    partition: int = 0
    bind: str = ""
    """The address of listeners."""
    meters: Meters = field(default_factory=Meters)
    returning: float = 0.0
    """Seconds from the start in which proxies of the publisher before may still be on their way."""


class _Said(NamedTuple):
    """A verdict in the log: the offset where it stands, and one of penstock.rejected before it."""

    changes: Sequence[Change]
    offset: int
    start: int
    patience: Backoff
    """Until it is looked what became of it; later and later while it is rejected."""


@dataclass(slots=True)
class Verdicts:
    """Says verdicts, and knows those of which it is not known yet whether they count. `look` has `again` called."""

    bench: Bench
    look: Callable[[], None]
    _due: list[_Said] = field(default_factory=list)
    """Those to look at now."""
    _reminder: Reminder = field(default_factory=Reminder)

    async def say(self, changes: Sequence[Change], patience: Backoff | None = None) -> int:
        """Append one, however long the log is away; answers the offset."""
        bench, time = self.bench, self.bench.now()
        cluster = changes[0].gateway.cluster  # type: ignore[union-attr]
        verb = "quarantine" if isinstance(changes[0], Quarantine) else "lift"
        change_set = ChangeSet(bench.domain, cluster, "publisher", f"{verb}-{time}", time, "publisher", tuple(changes))
        reminder, backoff = Reminder(), Backoff()
        while True:
            try:
                _, start = await bench.log.ends(Topic.REJECTED, bench.partition)
                async with bench.log.writer(f"publisher-{bench.domain}") as writer:
                    offset = (await writer.write(encode_change_set(change_set, bench.partition)))[-1]
            except LogError as error:
                if reminder.is_due(str(error)):
                    _LOG.warning("a verdict waits for the log", reason=str(error))
                await backoff.wait()
                continue
            bench.meters.count(QUARANTINES if verb == "quarantine" else LIFTED, amount=len(changes))
            said = _Said(changes, offset, start, patience or Backoff(_LOOK_SECONDS, _LONGEST_SECONDS))
            self._wait(said, said.patience.pause())
            return offset

    async def again(self) -> dict[int, int]:
        """Say anew what was rejected: the offsets where that stood, and where it stands now.

        What is no longer meant changes nothing: a quarantine is of one version of a fragment.
        """
        moved: dict[int, int] = {}
        due, self._due = self._due, []
        for one in due:
            try:
                is_resolved, reason = await self._fate(one)
            except LogError as error:
                _LOG.debug("a look at a verdict waits for the log", reason=str(error))
                is_resolved, reason = False, None
            if not is_resolved:
                self._wait(one, _LOOK_SECONDS)
                continue
            if reason is not None:
                if self._reminder.is_due(reason):
                    _LOG.error("the resolver rejected a verdict: nothing is quarantined or lifted by it", reason=reason)
                if self.bench.log.signer is not None:
                    self.bench.log.signer.renew()
                moved[one.offset] = await self.say(one.changes, one.patience)
        return moved

    def _wait(self, one: _Said, seconds: float) -> None:
        def look() -> None:
            self._due.append(one)
            self.look()

        asyncio.get_running_loop().call_later(seconds, look)

    async def _fate(self, one: _Said) -> tuple[bool, str | None]:
        """Whether it is resolved, and why it was rejected: None when it counts. Raises LogError."""
        bench = self.bench
        if (await read_table(bench.log, Topic.INFRA, bench.partition)).progress < one.offset:
            return False, None
        return True, await reason_behind(bench.log, bench.partition, one.offset, one.start)
