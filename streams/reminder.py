"""Says what goes on being wrong at once, and then now and again; it must not keep a new trouble from being said."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from math import inf
from typing import Final

_SECONDS: Final = 30.0
_MANY: Final = 1_000


@dataclass(slots=True)
class Reminder:
    """Who tries something several times a second asks it before he complains."""

    _words: str = ""
    _said: float = -inf

    def is_due(self, words: str) -> bool:
        """Whether these words are other ones than last time, or were last said some half a minute ago."""
        now = time.monotonic()
        if words == self._words and now - self._said < _SECONDS:
            return False
        self._words, self._said = words, now
        return True


@dataclass(slots=True)
class Reminders:
    """One for each of many troubles that go on beside one another; of more than a thousand the oldest is forgotten."""

    _each: dict[Hashable, Reminder] = field(default_factory=dict)

    def is_due(self, about: Hashable, words: str) -> bool:
        """See `Reminder`."""
        one = self._each.pop(about, Reminder())
        self._each[about] = one
        if len(self._each) > _MANY:
            del self._each[next(iter(self._each))]
        return one.is_due(words)
