"""Judges what traffic saw against what was wanted, and when: pure, and strict where something is promised.

Promised is: an answer is always one that was wanted whole; on one connection (one worker of Envoy) answers never go
back; and once every kept connection has switched (every worker has), no later request is answered as before.
Workers switch each on their own, so two connections may answer differently in between.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.traffic import Answer, Seen

NOTHING = Answer(404)


@dataclass
class History:
    """What a target was to answer, in order, each with the time from which it could be so."""

    states: list[tuple[float, Answer]] = field(default_factory=list)

    def add(self, since: float, answer: Answer) -> None:
        """It is to answer so from now on."""
        self.states.append((since, answer))

    def possible(self, answer: Answer, by: float) -> list[int]:
        """At which states it could have been answered so by then."""
        return [index for index, (since, one) in enumerate(self.states) if one == answer and since <= by]


@dataclass
class Verdict:
    """`wrong` in words; the rest says how much was looked at."""

    wrong: list[str] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    """Kept, new, or lost."""
    witnessed: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """States of each target that were seen on kept connections."""

    def states(self) -> int:
        """How many states were seen."""
        return sum(len(one) for one in self.witnessed.values())


def judge(seen: Sequence[Seen], histories: Mapping[str, History]) -> Verdict:
    """Judge every answer. Lost connections (status 0) are wrong, too."""
    verdict = Verdict()
    reached: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)
    at: dict[tuple[str, int], int] = {}
    for one in seen:
        verdict.requests["kept" if one.kept else "new"] += 1
        history = histories[one.target]
        possible = history.possible(one.answer, one.received)
        place = (one.target, one.connection)
        # The earliest state that explains it: of two readings the one that accuses nobody.
        index = next((index for index in possible if index >= at.get(place, 0)), None)
        if index is None:
            verdict.wrong.append(_accusation(one, history, at.get(place, 0), possible))
            continue
        if one.kept:
            if index > at.get(place, -1):
                reached[place].append((one.received, index))
            at[place] = index
            verdict.witnessed[one.target].add(index)
    # WebSockets ask for nothing but themselves.
    asking = {one.connection for one in seen if one.kept and one.answer.status != 101}
    floors = _floors(reached, asking)
    verdict.wrong += _behind(seen, histories, floors)
    return verdict


def _accusation(one: Seen, history: History, last: int, possible: Sequence[int]) -> str:
    wanted = [answer for since, answer in history.states if since <= one.received]
    if one.answer.status == 0:
        what = "the connection was lost"
    elif possible:
        what = f"goes back behind {wanted[last]}"
    elif any(one.answer == answer for _, answer in history.states):
        what = "comes before it was wanted"
    else:
        what = f"was never wanted; wanted were {wanted[-3:]}"
    return (
        f"{one.target} at {one.received:.3f} on {'kept' if one.kept else 'new'} {one.connection}: {one.answer} {what}"
    )


def _floors(
    reached: Mapping[tuple[str, int], Sequence[tuple[float, int]]], kept: Iterable[int]
) -> dict[str, list[tuple[float, int]]]:
    """By target: from when on every kept connection (that asked for it at all) had reached a state."""
    by_target: dict[str, dict[int, Sequence[tuple[float, int]]]] = defaultdict(dict)
    for (target, connection), steps in reached.items():
        by_target[target][connection] = steps
    everybody = set(kept)
    floors: dict[str, list[tuple[float, int]]] = {}
    for target, steps_of in by_target.items():
        if steps_of.keys() != everybody:
            continue
        highest = min(steps[-1][1] for steps in steps_of.values())
        floors[target] = [
            (max(next(time for time, index in steps if index >= state) for steps in steps_of.values()), state)
            for state in range(highest + 1)
        ]
    return floors


def _behind(
    seen: Sequence[Seen], histories: Mapping[str, History], floors: Mapping[str, Sequence[tuple[float, int]]]
) -> list[str]:
    """Requests on new connections that were answered as before though every worker had switched."""
    wrong = []
    for one in seen:
        if one.kept or one.target not in floors:
            continue
        floor = max((state for time, state in floors[one.target] if time < one.sent), default=0)
        possible = histories[one.target].possible(one.answer, one.received)
        if possible and possible[-1] < floor:
            wrong.append(_accusation(one, histories[one.target], floor, possible))
    return wrong
