"""The judge of traffic: each way of being wrong is seen, and what is allowed is not."""

from __future__ import annotations

import pytest

from tests.support.traffic import Answer, Seen
from tests.support.verdict import NOTHING, History, judge

ONE, TWO = Answer(200, "a", "v1"), Answer(200, "b", "v2")


def history() -> dict[str, History]:
    """Nothing, then ONE wanted at 10 s, TWO at 20 s, nothing again at 30 s."""
    found = History()
    for since, answer in ((0.0, NOTHING), (10.0, ONE), (20.0, TWO), (30.0, NOTHING)):
        found.add(since, answer)
    return {"t": found}


def kept(connection: int, *answers: tuple[float, Answer]) -> list[Seen]:
    return [Seen(connection, True, "t", at - 0.1, at, answer) for at, answer in answers]


def new(at: float, answer: Answer) -> Seen:
    return Seen(99, False, "t", at - 0.1, at, answer)


LIFE = ((5.0, NOTHING), (11.0, ONE), (21.0, TWO), (31.0, NOTHING))
LATER = ((5.0, NOTHING), (11.5, NOTHING), (12.0, ONE), (21.5, ONE), (22.0, TWO), (32.0, TWO), (33.0, NOTHING))


def words(*seen: Seen) -> list[str]:
    return judge(sorted(seen, key=lambda one: one.received), history()).wrong


def test_workers_may_switch_one_after_the_other() -> None:
    verdict = judge([*kept(1, *LIFE), *kept(2, *LATER)], history())
    assert verdict.wrong == []
    assert verdict.witnessed == {"t": {0, 1, 2, 3}}
    assert verdict.requests == {"kept": 11}


def test_new_connections_may_meet_either_worker_until_all_have_switched() -> None:
    assert words(*kept(1, *LIFE), *kept(2, *LATER), new(11.4, ONE), new(11.6, NOTHING), new(34.0, NOTHING)) == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (kept(1, *LIFE[:2], (12.0, NOTHING)), "goes back"),
        (kept(1, *LIFE[:3], (22.0, ONE)), "goes back"),
        (kept(1, *LIFE, (32.0, TWO)), "goes back"),
        (kept(1, *LIFE[:2], (12.0, TWO)), "comes before"),
        (kept(1, (11.0, Answer(503))), "never wanted"),
        (kept(1, (25.0, Answer(200, "a", "v2"))), "never wanted"),
        (kept(1, (25.0, Answer(0, "", "reset"))), "lost"),
        ([new(25.0, Answer(503))], "never wanted"),
        ([new(9.0, ONE)], "comes before"),
        ([*kept(1, *LIFE), *kept(2, *LATER), new(13.0, NOTHING)], "goes back"),
        ([*kept(1, *LIFE), *kept(2, *LATER), new(23.0, ONE)], "goes back"),
        ([*kept(1, *LIFE), *kept(2, *LATER), new(34.0, TWO)], "goes back"),
    ],
)
def test_what_is_wrong_is_seen_once(wrong: list[Seen], says: str) -> None:
    (found,) = words(*wrong)
    assert says in found
