"""Readiness as a role tells it."""

from __future__ import annotations

from streams.telemetry import Health


def test_who_has_not_begun_is_not_ready() -> None:
    health = Health()
    assert health.readiness() == {"ready": False, "waiting": {"start": "has not begun yet"}}


def test_a_part_is_asked_each_time_and_left_with_its_work() -> None:
    health, words = Health(), ["reads"]
    with health.part("whole", lambda: ""):
        with health.part("log", lambda: words[0]):
            assert health.readiness() == {"ready": False, "waiting": {"log": "reads"}}
            words[0] = ""
            assert health.readiness() == {"ready": True, "waiting": {}}
            words[0] = "reads again"
            assert not health.readiness()["ready"]
        assert health.readiness()["ready"]


def test_a_stretch_that_ends_takes_no_part_of_the_next() -> None:
    health = Health()
    first, second = health.part("log", lambda: "one"), health.part("log", lambda: "two")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert health.waiting() == {"log": "two"}
    second.__exit__(None, None, None)


def test_activity_is_told_where_replicas_stand_by() -> None:
    health = Health()
    health.activity = lambda: False
    with health.part("lease", lambda: ""):
        assert health.readiness() == {"ready": True, "active": False, "waiting": {}}
