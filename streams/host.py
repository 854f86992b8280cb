"""Owns domains as a host hands them out: three calls, no word of who delivers.

The host (faust, an aiokafka group) says `pause`, `assigned`, `deliver`; everything that can fail happens in a task of
the domain's own, so that no exception ever reaches the host, and nothing here makes it wait for long: what a full
queue cannot take is read from the log again. So is what the host lets go of: its deliveries are a hint that there is
something, and only the log says what. A domain reads it after each assignment, where a delivery leaves out more than a
commit's marker, and when for a while nothing comes though there is more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from streams.backoff import Backoff
from streams.domain import Domain, DomainStopped
from streams.ports import Fenced, LogBehind, LogError, Record
from streams.reminder import Reminder
from streams.telemetry.metrics import UNDELIVERED, Meters

_LOG = structlog.get_logger()
_BATCH = 200
_QUEUE = 2000
_QUEUE_BYTES = 32 << 20
"""Of the records that wait: 2,000 of 900 KiB would be more memory than all of ours. One alone may be larger."""
_RETRY_SECONDS = 0.2
_DEFECT_SECONDS = 5.0
_LOOK_SECONDS = 3.0
"""Between two looks at the end of the log while nothing comes: one takes 4 ms of CPU, 15 ms of waiting (measured)."""
_SILENCES = 10
"""How often the log had more, and nothing was delivered in between, until another host has to do it."""


@dataclass(slots=True)
class _Owned:
    domain: Domain
    queue: deque[Record] = field(default_factory=deque)
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    """There is something to do."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    """Bytes in the queue."""
    task: asyncio.Task[None] | None = None
    ready: bool = False
    waits: str = "reads the log"
    """For what, while it is not ready."""
    behind: bool = False
    """Records were dropped: the domain has to catch up from the log."""
    end: int = -1
    """Of the log, at the last look."""
    silences: int = 0
    """How often the log had more since the last delivery."""
    generation: int = 0
    """The assignment at the last good write."""
    backoff: Backoff = field(default_factory=lambda: Backoff(_RETRY_SECONDS))

    def offer(self, record: Record) -> None:
        """Queue a record, or note that it has to be read from the log."""
        self.silences = 0
        if self.behind or record.offset < self.domain.following:
            return
        size = len(record.value or b"")
        if len(self.queue) >= _QUEUE or (self.waiting and self.waiting + size > _QUEUE_BYTES):
            self.fall_behind()
            return
        self.waiting += size
        self.queue.append(record)
        self.stirred.set()

    def fall_behind(self) -> None:
        """What is delivered is not all: the log has to be read."""
        self.behind = True
        self.stirred.set()

    def lose(self, waits: str) -> None:
        """It is not ready any more, and waits for that."""
        self.ready, self.waits = False, waits

    async def batch(self) -> list[Record]:
        """What waits, as many as share a transaction; waits for the first, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self.stirred.wait()
        found = [self.queue.popleft() for _ in range(min(_BATCH, len(self.queue)))]
        if not self.queue:
            self.stirred.clear()
        self.waiting -= sum(len(one.value or b"") for one in found)
        return found

    def clear(self) -> None:
        """Let go of what waits."""
        self.queue.clear()
        self.stirred.clear()
        self.waiting, self.behind = 0, False


class Host:
    """`make` builds the domain of a partition; only `partitions` are ours. `session_seconds` is the host's session."""

    def __init__(
        self,
        make: Callable[[int], Domain],
        partitions: set[int],
        session_seconds: float = 6.0,
        meters: Meters | None = None,
    ) -> None:
        self._make = make
        self._meters = meters or Meters()
        self._partitions = frozenset(partitions)
        self._session = session_seconds
        self._owned: dict[int, _Owned] = {}
        self._running = asyncio.Event()
        self._generation = 0
        self._reassigned = asyncio.Event()

    def offsets(self) -> dict[int, int]:
        """The last offset applied of each partition that is ours and ready."""
        return {part: one.domain.offset for part, one in self._owned.items() if one.ready}

    def stale(self) -> int:
        """How many clusters of our domains cannot be reached."""
        return sum(len(one.domain.stale) for one in self._owned.values() if one.ready)

    def waiting(self) -> str:
        """What a domain of ours waits for; "" when it is caught up with the log, or when another replica has it."""
        if not self._generation:
            return "has not joined its group yet"
        return "; ".join(one.waits for _, one in sorted(self._owned.items()) if not one.ready)

    def is_paused(self) -> bool:
        """Whether partitions are about to move, or none were assigned yet, and nothing of ours holds that up."""
        return not self._running.is_set() and not any(one.lock.locked() for one in self._owned.values())

    def is_silent(self) -> bool:
        """Whether the log had more again and again, and nothing at all was delivered."""
        return any(one.silences >= _SILENCES for one in self._owned.values())

    def is_active(self) -> bool:
        """Whether a domain is ours."""
        return bool(self._owned)

    def wakes(self) -> dict[int, str | None]:
        """When each domain wants a Tick (RFC 3339)."""
        return {part: one.domain.wake_at for part, one in self._owned.items() if one.ready}

    async def pause(self) -> None:
        """Finish the transactions in flight, start no other: partitions are about to move."""
        self._running.clear()
        for one in list(self._owned.values()):
            async with one.lock:
                pass

    async def assigned(self, partitions: set[int]) -> None:
        """The whole new set. Domains that stay keep their task, writer and memory, and read what was not delivered."""
        self._generation += 1
        reassigned, self._reassigned = self._reassigned, asyncio.Event()
        reassigned.set()
        wanted = partitions & self._partitions
        for part in sorted(set(self._owned) - wanted):
            await self._drop(part)
        for one in self._owned.values():
            one.fall_behind()
        self._running.set()
        for part in sorted(wanted - set(self._owned)):
            one = self._owned[part] = _Owned(self._make(part))
            one.task = asyncio.create_task(self._own(one), name=f"domain-{part}")

    async def deliver(self, record: Record) -> None:
        """A record of penstock.changes; dropped when its partition is not ours: the owner's catch-up reads it."""
        one = self._owned.get(record.partition)
        if one is not None:
            one.offer(record)

    async def stop(self) -> None:
        """Let go of everything."""
        await self.pause()
        for part in sorted(self._owned):
            await self._drop(part)

    async def _drop(self, part: int) -> None:
        one = self._owned.pop(part)
        if one.task is not None:
            one.task.cancel()
            await asyncio.wait({one.task})

    async def _own(self, one: _Owned) -> None:
        reminder = Reminder()
        try:
            while True:
                one.generation = self._generation
                try:
                    await self._serve(one)
                except DomainStopped as error:
                    _LOG.error("the domain is stopped, its last state stays served", reason=str(error))
                    one.lose(str(error))
                    await asyncio.Event().wait()
                except LogBehind as error:
                    # Asked before anything is read: it may be asked again until the newer copy is back.
                    if reminder.is_due(str(error)):
                        _LOG.error("the domain is stopped, its last state stays served", reason=str(error))
                    one.lose(str(error))
                    await one.backoff.wait()
                except Fenced as error:
                    # At once only when an assignment says that it is ours again: two owners would fence each other.
                    _LOG.warning("fenced", reason=str(error))
                    one.lose(f"is fenced: {error}")
                    if one.generation == self._generation:
                        await self._wait_for_assignment()
                except LogError as error:
                    if reminder.is_due(str(error)):
                        _LOG.warning("the domain waits for the log", reason=str(error))
                    one.lose(str(error))
                    await one.backoff.wait()
                except Exception as error:  # noqa: BLE001  see below
                    # A defect of ours. Skipping the record would fork history; ending the task would be silence.
                    _LOG.exception("the domain failed and is taken again, its last state stays served")
                    one.lose(f"a defect: {type(error).__name__}")
                    await asyncio.sleep(_DEFECT_SECONDS)
        finally:
            one.ready = False
            await one.domain.release()

    async def _wait_for_assignment(self) -> None:
        with suppress(TimeoutError):
            # Not wait_for: being let go in the moment of an assignment is lost in it, and waited for for ever.
            async with asyncio.timeout(self._session):
                await self._reassigned.wait()

    async def _serve(self, one: _Owned) -> None:
        await self._step(one, one.domain.take)
        await self._catch_up(one)
        await self._step(one, one.domain.reconcile)
        one.ready = True
        one.backoff.reset()
        while True:
            batch = await one.batch()
            if one.behind:
                await self._catch_up(one)
            elif not batch:
                await self._look(one)
            elif one.domain.adjoins(batch):
                await self._step(one, one.domain.apply, batch)
            else:
                await self._mend(one, f"offset {batch[0].offset} came")

    async def _look(self, one: _Owned) -> None:
        """Nothing comes: what was in the log at the look before must have come by now."""
        try:
            before, one.end = one.end, await one.domain.end()
        except LogError:
            return  # It is told when something is to be written: until then nothing is missed.
        if not one.domain.lacks(before):
            return
        after = one.domain.following - 1
        first = await self._catch_up(one)
        if first is not None and first < before:  # Else offsets were aborted, and there is nothing to deliver.
            one.silences += 1
            self._missed(after, "nothing came")

    async def _mend(self, one: _Owned, came: str) -> None:
        """Not all was delivered. To apply what comes later would lose it for ever."""
        self._missed(one.domain.following - 1, came)
        await self._catch_up(one)

    def _missed(self, after: int, came: str) -> None:
        _LOG.warning("what the host did not deliver is read from the log", after=after, instead=came)
        self._meters.count(UNDELIVERED)

    async def _catch_up(self, one: _Owned) -> int | None:
        """Read what the domain misses from the log; the first offset of that, None for nothing.

        The queue is opened first: what comes before the log's end is read, lies in the log, and what comes later is
        queued, so nothing falls between.
        """
        one.clear()
        first = None
        async for records in one.domain.missing():
            first = records[0].offset if first is None else first
            await self._step(one, one.domain.apply, records)
        return first

    async def _step(self, one: _Owned, work: Callable[..., Awaitable[None]], *args: object) -> None:
        """One transaction or read that a pause waits for; none starts while paused."""
        await self._running.wait()
        async with one.lock:
            await work(*args)
            one.generation = self._generation
