"""What the log wants of every object's status, joined with what proxies acknowledged: what is shown of it now.

A change costs what depends on it: an acknowledgement concerns those objects only that wait for one of that Gateway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from engine.ref import Ref, parse_ref
from engine.status.programmed import programmed


class Wanted:
    """The wanted statuses of one cluster."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._statuses: dict[Ref, Mapping[str, Any]] = {}
        self._acknowledged: dict[str, int | None] = {}
        self._undeployed: dict[str, str] = {}
        """By Gateway why its proxies cannot be deployed, of those of which they cannot."""
        self._waiting: defaultdict[str, set[Ref]] = defaultdict(set)
        """By Gateway: whose Programmed it has not acknowledged yet."""

    def __getitem__(self, ref: Ref) -> dict[str, Any] | None:
        """The status to be shown, None when none is wanted."""
        status = self._statuses.get(ref)
        return None if status is None else programmed(status, self._acknowledged, self._undeployed.get(str(ref), ""))

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

    def acknowledge(self, gateway: str, offset: int | None, undeployed: str = "") -> list[Ref]:
        """Take what all proxies of a Gateway have acknowledged; answers whose shown status that changes.

        From none to some offset the words of those that go on waiting change too. `undeployed` is why its proxies
        cannot be deployed, "" when they are.
        """
        told = {parse_ref(gateway)} if undeployed != self._undeployed.pop(gateway, "") else set()
        if undeployed:
            self._undeployed[gateway] = undeployed
        before, self._acknowledged[gateway] = self._acknowledged.get(gateway), offset
        waiting = self._waiting.pop(gateway, set())
        still = {ref for ref in waiting if not self._has(gateway, self._programmed(ref)[gateway])}
        if still:
            self._waiting[gateway] = still
        changed = waiting if (before is None) != (offset is None) else waiting - still
        return sorted(changed | told & self._statuses.keys())

    def _has(self, gateway: str, offset: int) -> bool:
        acknowledged = self._acknowledged.get(gateway)
        return acknowledged is not None and acknowledged >= offset

    def _programmed(self, ref: Ref) -> Mapping[str, int]:
        found: Mapping[str, int] = (self._statuses.get(ref) or {}).get("programmed") or {}
        return found
