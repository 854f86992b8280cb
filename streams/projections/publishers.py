"""Which publishers are lost: a proxy of one counts as gone, since nobody else would ever tell that it is.

No clocks of two machines are compared. A publisher that has nothing to report says now and then that it serves
(`BEAT_SECONDS`); one from which nothing came in several turns as long, in which something came from others, is lost.
With nobody heard, as when Kafka is away, no turn counts.
"""

from __future__ import annotations

from typing import Final

_TURNS: Final = 4


class Publishers:
    """Each by the name that its reports give: one for every time that a publisher starts."""

    def __init__(self) -> None:
        self._silent: dict[str, int] = {}
        """Turns since something came from it."""
        self._heard: set[str] = set()

    def heard(self, name: str) -> bool:
        """Something came from it; answers whether it was taken for lost."""
        was_lost = self.is_lost(name)
        self._silent[name] = 0
        self._heard.add(name)
        return was_lost

    def is_lost(self, name: str) -> bool:
        """Whether its proxies count as gone. Turns are counted of those that were ever asked about, or heard."""
        return self._silent.setdefault(name, 0) >= _TURNS

    def turn(self) -> bool:
        """A turn is over; answers whether one is lost by that."""
        heard, self._heard = self._heard, set()
        silent = self._silent.keys() - heard if heard else set()
        for name in silent:
            self._silent[name] += 1
        return any(self._silent[name] == _TURNS for name in silent)
