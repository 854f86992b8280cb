"""When a proxy was dead, and which lost connections that excuses: pure, and nothing else is excused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.support.traffic import Seen


class Death(NamedTuple):
    """A proxy was killed at `killed` and known to be gone at `gone` (seconds, monotonic)."""

    killed: float
    gone: float


class Outage(NamedTuple):
    """From the kill until the first answer to what was asked after it was gone."""

    begin: float
    end: float


def outages(deaths: Iterable[Death], seen: Sequence[Seen]) -> list[Outage]:
    """How long each lasted; one that never ended excuses nothing."""
    answers = sorted((one.sent, one.received) for one in seen if one.answer.status)
    found = []
    for death in deaths:
        back = min((received for sent, received in answers if sent > death.gone), default=None)
        if back is not None:
            found.append(Outage(death.killed, back))
    return found


def excused(seen: Sequence[Seen], found: Sequence[Outage]) -> tuple[list[Seen], list[Seen]]:
    """(what is to be judged, lost connections that were open or tried while a proxy was dead)."""
    opened: dict[int, float] = {}
    for one in seen:
        opened[one.connection] = min(opened.get(one.connection, one.sent), one.sent)
    judged, lost = [], []
    for one in seen:
        is_lost = one.answer.status == 0 and any(
            opened[one.connection] <= outage.end and one.received >= outage.begin for outage in found
        )
        (lost if is_lost else judged).append(one)
    return judged, lost
