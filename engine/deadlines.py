"""Deadlines in order: what a change costs does not grow with deadlines that it does not move. It knows no clock."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import MutableMapping

from engine.table import Trunk


class Deadlines:
    """Times (RFC 3339, UTC, milliseconds: text that sorts by time), each with how many things have it."""

    def __init__(self) -> None:
        self._counts: MutableMapping[str, int] = {}
        self._times: list[str] = []
        self._passed: MutableMapping[str, bool] = {}
        self._moved: set[str] = set()
        self._now = ""
        self._shares = False
        """Whether the list of times is that of another, too."""

    def fork(self, trunk: Trunk) -> Deadlines:
        """Deadlines that begin as these, of which `passed` was asked."""
        fork = Deadlines()
        fork._counts, fork._passed = trunk.over(self._counts), trunk.over(self._passed)
        fork._times, fork._now, fork._shares = self._times, self._now, True
        return fork

    def move(self, old: str | None, new: str | None) -> None:
        """Something had one deadline and has another; None for none."""
        if old == new:
            return
        if self._shares:
            self._times, self._shares = list(self._times), False
        if new is not None:
            self._counts[new] = self._counts.get(new, 0) + 1
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
            if there:
                self._passed[time] = True
            else:
                del self._passed[time]
        return told

    def next(self, now: str) -> str | None:
        """The first one after `now`."""
        at = bisect_right(self._times, now)
        return self._times[at] if at < len(self._times) else None
