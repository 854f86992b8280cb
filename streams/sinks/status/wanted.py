"""What the log wants of every object's status, joined with what proxies acknowledged: what is shown of it now.

A change costs what depends on it: an acknowledgement concerns those objects only that wait for one of that Gateway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from engine.placement import parse_placement
from engine.ref import Ref
from engine.status.programmed import programmed, undeployed


class Wanted:
    """The wanted statuses of one cluster."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._statuses: dict[Ref, Mapping[str, Any]] = {}
        self._acknowledged: dict[str, int | None] = {}
        self._undeployed: dict[Ref, dict[str, str]] = {}
        """By Gateway and placement why its proxies cannot be deployed, of those of which they cannot."""
        self._waiting: defaultdict[str, set[Ref]] = defaultdict(set)
        """By placement: whose Programmed it has not acknowledged yet."""

    def __getitem__(self, ref: Ref) -> dict[str, Any] | None:
        """The status to be shown, None when none is wanted."""
        status = self._statuses.get(ref)
        words = undeployed(ref, self._undeployed.get(ref, {}))
        return None if status is None else programmed(status, self._acknowledged, words)

    def refs(self) -> Iterable[Ref]:
        """Every object of which a status is wanted."""
        return self._statuses.keys()

    def put(self, ref: Ref, status: Mapping[str, Any] | None) -> bool:
        """Take a wanted status, None when none is wanted any more; answers whether it is one of this cluster."""
        if ref.cluster != self._cluster:
            return False
        for gateway in self._programmed(ref):
            self._waiting[gateway].discard(ref)
            if not self._waiting[gateway]:
                del self._waiting[gateway]
        if status is None:
            self._statuses.pop(ref, None)
            return True
        self._statuses[ref] = status
        for gateway, offset in self._programmed(ref).items():
            if not self._has(gateway, offset):
                self._waiting[gateway].add(ref)
        return True

    def acknowledge(self, placement: str, offset: int | None, words: str = "") -> list[Ref]:
        """Take what all proxies of a placement have acknowledged; answers whose shown status that changes.

        From none to some offset the words of those that go on waiting change too. `words` say why its proxies cannot
        be deployed, "" when they are.
        """
        told = self._told(placement, words)
        before, self._acknowledged[placement] = self._acknowledged.get(placement), offset
        waiting = self._waiting.pop(placement, set())
        still = {ref for ref in waiting if not self._has(placement, self._programmed(ref)[placement])}
        if still:
            self._waiting[placement] = still
        changed = waiting if (before is None) != (offset is None) else waiting - still
        return sorted(changed | told & self._statuses.keys())

    def _told(self, placement: str, words: str) -> set[Ref]:
        """The Gateway, where other words are said of its placement than before."""
        gateway = parse_placement(placement).gateway
        mine = self._undeployed.pop(gateway, {})
        before = mine.pop(placement, "")
        mine |= {placement: words} if words else {}
        if mine:
            self._undeployed[gateway] = mine
        return {gateway} if words != before else set()

    def _has(self, placement: str, offset: int) -> bool:
        acknowledged = self._acknowledged.get(placement)
        return acknowledged is not None and acknowledged >= offset

    def _programmed(self, ref: Ref) -> Mapping[str, int]:
        found: Mapping[str, int] = (self._statuses.get(ref) or {}).get("programmed") or {}
        return found
