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
"""After which it is looked what became of a verdict, and how long one that was rejected waits at least."""


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


class _Said(NamedTuple):
    """A verdict in the log: the offset where it stands, and one of penstock.rejected before it."""

    changes: Sequence[Change]
    offset: int
    start: int


@dataclass(slots=True)
class Verdicts:
    """Says verdicts, and knows those of which it is not known yet whether they count. `look` has `again` called."""

    bench: Bench
    look: Callable[[], None]
    _open: list[_Said] = field(default_factory=list)
    _reminder: Reminder = field(default_factory=Reminder)

    async def say(self, changes: Sequence[Change]) -> int:
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
            self._wait(_Said(changes, offset, start))
            return offset

    async def again(self) -> dict[int, int]:
        """Say anew what was rejected: the offsets where that stood, and where it stands now.

        What is no longer meant changes nothing: a quarantine is of one version of a fragment.
        """
        moved: dict[int, int] = {}
        said, self._open = self._open, []
        for one in said:
            try:
                reason = await self._rejection(one)
            except LogError as error:
                _LOG.debug("a look at a verdict waits for the log", reason=str(error))
                self._wait(one)
                continue
            if reason is None:
                continue
            if self._reminder.is_due(reason):
                _LOG.error("the resolver rejected a verdict: nothing is quarantined or lifted by it yet", reason=reason)
            if self.bench.log.signer is not None:
                self.bench.log.signer.renew()
            moved[one.offset] = await self.say(one.changes)
        return moved

    def _wait(self, one: _Said) -> None:
        if not self._open:
            asyncio.get_running_loop().call_later(_LOOK_SECONDS, self.look)
        self._open.append(one)

    async def _rejection(self, one: _Said) -> str | None:
        """Why it was rejected; None when it counts. What is not resolved yet waits on. Raises LogError."""
        bench = self.bench
        if (await read_table(bench.log, Topic.INFRA, bench.partition)).progress < one.offset:
            self._wait(one)
            return None
        return await reason_behind(bench.log, bench.partition, one.offset, one.start)
