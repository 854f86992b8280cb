"""Deadlines in order: what a change costs does not grow with deadlines that it does not move. It knows no clock."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter


class Deadlines:
    """Times (RFC 3339, UTC, milliseconds: text that sorts by time), each with how many things have it."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._times: list[str] = []
        self._passed: set[str] = set()
        self._moved: set[str] = set()
        self._now = ""

    def move(self, old: str | None, new: str | None) -> None:
        """Something had one deadline and has another; None for none."""
        if old == new:
            return
        if new is not None:
            self._counts[new] += 1
            if self._counts[new] == 1:
                insort(self._times, new)
                self._moved.add(new)
        if old is not None:
            self._counts[old] -= 1
            if not self._counts[old]:
                del self._counts[old]
                del self._times[bisect_right(self._times, old) - 1]
                self._moved.add(old)

    def passed(self, now: str) -> list[tuple[str, bool]]:
        """What has passed at `now`, and (False) what had passed that nothing has any more, since the last call."""
        came = self._times[bisect_right(self._times, self._now) : bisect_right(self._times, now)]
        looked, self._moved, self._now = self._moved.union(came), set(), now
        changed = [(time, time in self._counts and time <= now) for time in sorted(looked)]
        told = [(time, there) for time, there in changed if there != (time in self._passed)]
        for time, there in told:
            (self._passed.add if there else self._passed.discard)(time)
        return told

    def next(self, now: str) -> str | None:
        """The first one after `now`."""
        at = bisect_right(self._times, now)
        return self._times[at] if at < len(self._times) else None
