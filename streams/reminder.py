"""Says what goes on being wrong at once, and then now and again; it must not keep a new trouble from being said."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf
from typing import Final

_SECONDS: Final = 30.0


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
