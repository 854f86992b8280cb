"""Owns domains as a host hands them out: three calls, no word of who delivers.

The host (faust, an aiokafka group) says `pause`, `assigned`, `deliver`; everything that can fail happens in a task of
the domain's own, so that no exception ever reaches the host, and nothing here makes it wait for long: what a full
queue cannot take is read from the log again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from streams.backoff import Backoff
from streams.domain import Domain, DomainStopped
from streams.ports import Fenced, LogBehind, LogError, Record
from streams.reminder import Reminder

_LOG = structlog.get_logger()
_BATCH = 200
_QUEUE = 2000
_QUEUE_BYTES = 32 << 20
"""Of the records that wait: 2,000 of 900 KiB would be more memory than all of ours. One alone may be larger."""
_RETRY_SECONDS = 0.2
_DEFECT_SECONDS = 5.0


@dataclass(slots=True)
class _Owned:
    domain: Domain
    queue: asyncio.Queue[Record] = field(default_factory=lambda: asyncio.Queue(_QUEUE))
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    """Bytes in the queue."""
    task: asyncio.Task[None] | None = None
    ready: bool = False
    waits: str = "reads the log"
    """For what, while it is not ready."""
    behind: bool = False
    """Records were dropped: the domain has to catch up from the log."""
    generation: int = 0
    """The assignment at the last good write."""
    backoff: Backoff = field(default_factory=lambda: Backoff(_RETRY_SECONDS))

    def offer(self, record: Record) -> None:
        """Queue a record, or note that it has to be read from the log."""
        size = len(record.value or b"")
        if self.queue.full() or (self.waiting and self.waiting + size > _QUEUE_BYTES):
            self.behind = True
            return
        self.waiting += size
        self.queue.put_nowait(record)

    def lose(self, waits: str) -> None:
        """It is not ready any more, and waits for that."""
        self.ready, self.waits = False, waits

    async def batch(self) -> list[Record]:
        """What waits, as many as share a transaction; waits for the first."""
        found = [await self.queue.get()]
        while len(found) < _BATCH and not self.queue.empty():
            found.append(self.queue.get_nowait())
        self.waiting -= sum(len(one.value or b"") for one in found)
        return found

    def clear(self) -> None:
        """Let go of what waits."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.waiting = 0


class Host:
    """`make` builds the domain of a partition; only `partitions` are ours. `session_seconds` is the host's session."""

    def __init__(self, make: Callable[[int], Domain], partitions: set[int], session_seconds: float = 6.0) -> None:
        self._make = make
        self._partitions = frozenset(partitions)
        self._session = session_seconds
        self._owned: dict[int, _Owned] = {}
        self._running = asyncio.Event()
        self._generation = 0
        self._reassigned = asyncio.Event()

    def offsets(self) -> dict[int, int]:
        """The last offset applied of each partition that is ours and ready."""
        return {part: one.domain.offset for part, one in self._owned.items() if one.ready}

    def waiting(self) -> str:
        """What a domain of ours waits for; "" when it is caught up with the log, or when another replica has it."""
        if not self._generation:
            return "has not joined its group yet"
        return "; ".join(one.waits for _, one in sorted(self._owned.items()) if not one.ready)

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
        """The whole new set. Domains that stay keep their task, writer and memory."""
        self._generation += 1
        reassigned, self._reassigned = self._reassigned, asyncio.Event()
        reassigned.set()
        wanted = partitions & self._partitions
        for part in sorted(set(self._owned) - wanted):
            await self._drop(part)
        self._running.set()
        for part in sorted(wanted - set(self._owned)):
            one = self._owned[part] = _Owned(self._make(part))
            one.task = asyncio.create_task(self._own(one), name=f"domain-{part}")

    async def deliver(self, record: Record) -> None:
        """A record of penstock.changes; dropped when its partition is not ours: the owner's catch-up reads it."""
        one = self._owned.get(record.partition)
        if one is None or one.behind:
            return
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
            else:
                await self._step(one, one.domain.apply, batch)

    async def _catch_up(self, one: _Owned) -> None:
        """Read what the domain misses from the log.

        The queue is opened first: what comes before the log's end is read, lies in the log, and what comes later is
        queued, so nothing falls between.
        """
        one.clear()
        one.behind = False
        async for records in one.domain.missing():
            await self._step(one, one.domain.apply, records)

    async def _step(self, one: _Owned, work: Callable[..., Awaitable[None]], *args: object) -> None:
        """One transaction or read that a pause waits for; none starts while paused."""
        await self._running.wait()
        async with one.lock:
            await work(*args)
            one.generation = self._generation
