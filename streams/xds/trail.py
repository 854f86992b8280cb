"""Which fragments changed since a proxy took the resource that they stand in: the first to suspect when one does not.

It is a short memory, and says so where it does not reach. It judges nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from engine.update import FragmentKey

_LENGTH = 1_000

Changed = tuple[str, str]
"""(type URL, resource name)."""


class Trail:
    """The latest changes of a gateway's fragments. `turn` numbers the state of all of them."""

    def __init__(self, length: int = _LENGTH) -> None:
        self.turn = 0
        self._changes: deque[tuple[int, FragmentKey]] = deque(maxlen=length)
        self._taken: dict[Changed, int] = {}

    def changed(self, keys: Iterable[FragmentKey]) -> None:
        """These are served otherwise from now on."""
        self.turn += 1
        self._changes.extend((self.turn, key) for key in keys)

    def took(self, resource: Changed, turn: int) -> None:
        """A proxy has a resource as it was at a turn."""
        self._taken[resource] = max(self._taken.get(resource, 0), turn)

    def since(self, resource: Changed) -> list[FragmentKey] | None:
        """What changed, in this resource or another, since a proxy took this one, the oldest change first.

        None when that is not known: nobody took it, or it is too long ago.
        """
        taken = self._taken.get(resource, 0)
        if not taken or (len(self._changes) == self._changes.maxlen and self._changes[0][0] > taken):
            return None
        # Of a key that changed more than once the last time counts.
        found = dict.fromkeys(key for turn, key in reversed(self._changes) if turn > taken)
        return list(reversed(found))
