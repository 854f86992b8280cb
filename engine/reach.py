"""Whether clusters can be reached: in the fold, and as queries see it. What follows from it is not decided here."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from engine.events import WATCHERS, Change, Reachable, Unreachable
from engine.fold import STALE, Fold, Said
from engine.instant import written
from engine.readings import Readings
from engine.resolve.manifest import stale_fact


class Reach:
    """The room of clusters that do not answer. Only a cluster's own watcher says so of it, and of no other."""

    TAKES: Final = (Unreachable, Reachable)

    def __init__(self, fold: Fold, readings: Readings) -> None:
        self._fold = fold
        self._readings = readings

    def load(self) -> None:
        """Let queries see which cannot be reached."""
        for key, row in self._fold.under(STALE):
            self._readings.state(stale_fact(key.removeprefix(STALE)), row["since"])

    def take(self, change: Change, said: Said) -> list[str]:
        """Fold a change; answers the warnings. Said again it changes nothing: the first time counts."""
        key = f"{STALE}{said.cluster}"
        if said.source not in WATCHERS:
            return [f"source {said.source} cannot say whether cluster {said.cluster} is reachable: ignored"]
        match change:
            case Unreachable() if key not in self._fold.rows:
                since = min(_time(change.since) or said.time, said.time)
                self._fold.set(key, {"since": since, "offset": said.offset})
                self._readings.state(stale_fact(said.cluster), since)
            case Reachable() if key in self._fold.rows:
                self._fold.remove(key)
                self._readings.state(stale_fact(said.cluster), None)
        return []


def _time(text: str) -> str:
    """The time in UTC with milliseconds, as text that sorts by time; "" for what is none.

    One without a zone is none: it would be taken for the machine's.
    """
    try:
        found = datetime.fromisoformat(text)
        return written(found) if found.tzinfo is not None else ""
    except (ValueError, OverflowError):
        return ""
