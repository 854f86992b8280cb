"""Time as the fold knows it: said by change sets, and let pass by ticks only; it reads no clock."""

from __future__ import annotations

from typing import Final

from engine.events import Change, EngineChanged, Tick
from engine.fold import CLOCK, ENGINE, Fold, Said


class Clock:
    """The room of ticks, and of the version of the engine that computes."""

    TAKES: Final = (Tick, EngineChanged)

    def __init__(self, fold: Fold) -> None:
        self._fold = fold

    @property
    def offset(self) -> int:
        """The last offset that was folded, -1 for none."""
        return int(self._fold.rows.get(CLOCK, {}).get("offset", -1))

    @property
    def time(self) -> str:
        """Domain time: the latest that a change set said."""
        return str(self._fold.rows.get(CLOCK, {}).get("time", ""))

    @property
    def tick(self) -> str:
        """The time of the last Tick, which alone lets deadlines pass: a source's clock may be wrong.

        A state of before version 16 does not tell it: all deadlines until its time have passed.
        """
        row = self._fold.rows.get(CLOCK, {})
        return str(row.get("tick", row.get("time", "")))

    def move(self, time: str, offset: int) -> None:
        """A change set of this time is folded."""
        self._fold.set(CLOCK, {"time": max(self.time, time), "offset": offset, "tick": self.tick})

    def take(self, change: Change, said: Said) -> list[str]:
        """Fold a change; answers the warnings."""
        match change:
            case Tick():
                tick = max(self.tick, said.time)
                self._fold.set(CLOCK, {**self._fold.rows[CLOCK], "tick": tick})
            case EngineChanged():
                self._fold.set(ENGINE, {"version": change.version})
        return []
