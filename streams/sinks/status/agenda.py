"""Which objects' statuses are to be written, and when: each as soon as may be, none too often. It reads no clock.

A Gateway to which a thousand routes attach changes a thousand times in a few seconds; its status is to be written
no more than fifteen times, and yet at once when it changes once.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

K = TypeVar("K")

_SHORTEST: Final = 0.1
_LONGEST: Final = 2.0
"""Seconds from one write of an object to its next: each is twice as long as the one before, until it has had a rest."""
_LONGEST_FAILED: Final = 30.0
_REST: Final = 2.0
"""Seconds after its last pause in which an object was not written: then it begins anew."""


@dataclass(slots=True)
class _Pace:
    """Of one object: from when on it may be written, and how long the next pause is."""

    free: float = 0.0
    pause: float = _SHORTEST


@dataclass(slots=True)
class Agenda(Generic[K]):
    """Times are seconds of any one clock. An object is handed out to one worker at a time."""

    _due: dict[K, float] = field(default_factory=dict)
    _heap: list[tuple[float, int, K]] = field(default_factory=list)
    _paces: dict[K, _Pace] = field(default_factory=dict)
    _busy: set[K] = field(default_factory=set)
    _again: set[K] = field(default_factory=set)
    """Of the busy ones those that changed since they were handed out."""
    _gone: set[K] = field(default_factory=set)
    """Of the busy ones those that were forgotten since."""
    _count: int = 0

    def __len__(self) -> int:
        """How many are to be looked at or are being looked at."""
        return len(self._due) + len(self._busy)

    def add(self, key: K, now: float) -> None:
        """Something changed about it: to be looked at once more, also when somebody does just now."""
        if key in self._busy:
            self._again.add(key)
            self._gone.discard(key)
        elif key not in self._due:
            self._put(key, max(now, self._paces[key].free) if key in self._paces else now)

    def take(self, now: float) -> K | None:
        """One that is due, the longest due first."""
        at = self.wake()
        if at is None or at > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due[key]
        self._busy.add(key)
        return key

    def wake(self) -> float | None:
        """When the next one is due; None when none waits for its time."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def done(self, key: K, now: float, *, wrote: bool) -> None:
        """Looked at. What was written gets its pause; what stood there already may change again at once."""
        pace = self._paces.get(key)
        if pace is not None and now > pace.free + _REST:
            del self._paces[key]
            pace = None
        if wrote:
            self._pause(pace or self._paces.setdefault(key, _Pace()), now, _LONGEST)
        self._let_go(key, now)

    def failed(self, key: K, now: float) -> None:
        """To be tried again, later and later."""
        self._pause(self._paces.setdefault(key, _Pace()), now, _LONGEST_FAILED)
        if key not in self._gone:
            self._again.add(key)
        self._let_go(key, now)

    def forget(self, key: K) -> None:
        """The object is gone, and nothing is wanted of it."""
        for kept in (self._due, self._paces):
            kept.pop(key, None)
        self._again.discard(key)
        if key in self._busy:
            self._gone.add(key)

    def _pause(self, pace: _Pace, now: float, longest: float) -> None:
        pace.free, pace.pause = now + pace.pause, min(2 * pace.pause, longest)

    def _let_go(self, key: K, now: float) -> None:
        self._busy.discard(key)
        if key in self._gone:
            self._gone.discard(key)
            self._paces.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self.add(key, now)

    def _put(self, key: K, at: float) -> None:
        self._due[key] = at
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, key))
