"""What a process still waits for before it is ready, asked when somebody looks; it probes nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Waits = Callable[[], str]
"""What a part waits for, in words; "" when it is ready."""


class Health:
    """Parts of one process, each with what it waits for. A process without any has not begun.

    `activity` answers whether this replica does the work, where replicas of a role stand by; else it is None.
    """

    def __init__(self) -> None:
        self._parts: dict[str, Waits] = {}
        self.activity: Callable[[], bool] | None = None

    @contextmanager
    def part(self, name: str, waits: Waits) -> Iterator[None]:
        """Ask `waits` while inside."""
        self._parts[name] = waits
        try:
            yield
        finally:
            if self._parts.get(name) is waits:
                del self._parts[name]

    def waiting(self) -> dict[str, str]:
        """By part what it waits for; empty when the process is ready."""
        if not self._parts:
            return {"start": "has not begun yet"}
        found = {name: waits() for name, waits in sorted(self._parts.items())}
        return {name: words for name, words in found.items() if words}

    def readiness(self) -> Mapping[str, Any]:
        """As it is told."""
        waiting = self.waiting()
        active = {} if self.activity is None else {"active": self.activity()}
        return {"ready": not waiting, **active, "waiting": waiting}
