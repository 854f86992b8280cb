"""Only what a dead proxy explains is excused."""

from __future__ import annotations

import pytest

from tests.chaos.outage import Death, Outage, excused, outages
from tests.support.traffic import Answer, Seen

LOST, GOOD = Answer(0, "", "reset"), Answer(200, "a", "v")
DEATHS = [Death(10.0, 10.1)]


def seen(connection: int, sent: float, received: float, answer: Answer = GOOD) -> Seen:
    return Seen(connection, True, "t", sent, received, answer)


ANSWERS = [seen(1, 9.0, 9.1), seen(2, 10.05, 10.2), seen(3, 11.0, 11.2), seen(4, 12.0, 12.1)]


def test_an_outage_lasts_until_the_first_answer_to_what_was_asked_after_it_began() -> None:
    assert outages(DEATHS, ANSWERS) == [Outage(10.0, 11.2)]
    assert outages([*DEATHS, Death(10.5, 10.6)], ANSWERS) == [Outage(10.0, 11.2), Outage(10.5, 11.2)]


def test_one_that_never_ended_excuses_nothing() -> None:
    assert outages([Death(20.0, 20.1)], ANSWERS) == []


@pytest.mark.parametrize(
    ("what", "is_excused"),
    [
        ([seen(7, 10.5, 10.5, LOST)], True),
        ([seen(7, 9.9, 10.01, LOST)], True),
        # Open when the proxy died, and used again only once another one answered.
        ([seen(7, 9.0, 9.1), seen(7, 13.0, 13.1, LOST)], True),
        ([seen(7, 9.0, 9.1), seen(7, 9.5, 9.6, LOST)], False),
        ([seen(7, 11.3, 11.4, LOST)], False),
        ([seen(7, 11.3, 11.4), seen(7, 13.0, 13.1, LOST)], False),
        ([seen(7, 10.5, 10.6, Answer(503))], False),
        ([seen(7, 10.5, 10.6, Answer(404))], False),
    ],
)
def test_only_connections_that_met_a_dead_proxy_may_be_lost(what: list[Seen], *, is_excused: bool) -> None:
    judged, lost = excused([*ANSWERS, *what], outages(DEATHS, ANSWERS))
    assert (lost == what[-1:]) is is_excused
    assert (what[-1] in judged) is not is_excused
    assert len(judged) + len(lost) == len(ANSWERS) + len(what)
