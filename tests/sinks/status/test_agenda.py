"""At once when it changes once, seldom when it changes all the time, and one worker an object."""

from __future__ import annotations

from streams.sinks.status.agenda import Agenda


def test_what_changes_once_is_handed_out_at_once() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.add("a", 5.0)
    assert agenda.take(5.0) == "a"
    assert agenda.take(5.0) is None


def test_a_thousand_changes_in_three_seconds_are_at_most_fifteen_writes() -> None:
    agenda: Agenda[str] = Agenda()
    writes = []
    for step in range(3_000):
        now = step / 1000
        if step % 3 == 0:
            agenda.add("gw", now)
        while agenda.take(now) is not None:
            writes.append(now)
            agenda.done("gw", now, wrote=True)
    last = agenda.wake()
    assert len(writes) <= 7
    assert writes[0] == 0.0
    assert last is not None
    assert agenda.take(last) == "gw"  # The last change is not lost.


def test_after_a_rest_it_is_written_at_once_again() -> None:
    agenda: Agenda[str] = Agenda()
    for at in (0.0, 0.125, 0.375, 0.875):
        agenda.add("gw", at)
        assert agenda.take(at) == "gw"
        agenda.done("gw", at, wrote=True)
    agenda.add("gw", 60.0)
    assert agenda.take(60.0) == "gw"
    agenda.done("gw", 60.0, wrote=True)
    agenda.add("gw", 60.0)
    assert agenda.wake() == 60.0 + 0.1


def test_what_was_not_written_gets_no_pause() -> None:
    agenda: Agenda[str] = Agenda()
    for _ in range(3):
        agenda.add("a", 0.0)
        assert agenda.take(0.0) == "a"
        agenda.done("a", 0.0, wrote=False)


def test_one_worker_an_object_and_no_change_lost() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.add("a", 0.0)
    assert agenda.take(0.0) == "a"
    agenda.add("a", 0.0)
    assert agenda.take(9.0) is None
    assert agenda.wake() is None
    agenda.done("a", 0.0, wrote=True)
    assert agenda.wake() == 0.1
    assert agenda.take(0.1) == "a"


def test_what_fails_is_tried_again_later_and_later() -> None:
    agenda: Agenda[str] = Agenda()
    now, waits = 0.0, []
    agenda.add("a", now)
    for _ in range(12):
        assert agenda.take(now) == "a"
        agenda.failed("a", now)
        wake = agenda.wake()
        assert wake is not None
        waits.append(round(wake - now, 3))
        now = wake
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == 30.0


def test_one_that_fails_keeps_nobody_else_waiting() -> None:
    agenda: Agenda[str] = Agenda()
    for key in ("bad", "good"):
        agenda.add(key, 0.0)
    assert agenda.take(0.0) == "bad"
    agenda.failed("bad", 0.0)
    assert agenda.take(0.0) == "good"


def test_what_is_forgotten_does_not_come() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.add("a", 0.0)
    agenda.forget("a")
    assert agenda.take(9.0) is None
    assert len(agenda) == 0


def test_what_is_forgotten_while_it_is_written_leaves_nothing() -> None:
    agenda: Agenda[str] = Agenda()
    for end in (agenda.failed, lambda key, now: agenda.done(key, now, wrote=True)):
        agenda.add("a", 0.0)
        assert agenda.take(9.0) == "a"
        agenda.forget("a")
        end("a", 9.0)
        assert agenda.wake() is None
        assert (len(agenda), agenda._paces, agenda._gone) == (0, {}, set())  # noqa: SLF001


def test_what_comes_back_while_it_is_written_is_looked_at() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.add("a", 0.0)
    assert agenda.take(0.0) == "a"
    agenda.forget("a")
    agenda.add("a", 0.0)
    agenda.done("a", 0.0, wrote=True)
    assert agenda.take(9.0) == "a"
