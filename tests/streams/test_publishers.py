"""A publisher of which nothing is heard while others are is lost; with nobody heard nothing is known."""

from __future__ import annotations

from streams.projections.publishers import Publishers


def turns(publishers: Publishers, count: int, *heard: str) -> list[bool]:
    said = []
    for _ in range(count):
        for name in heard:
            publishers.heard(name)
        said.append(publishers.turn())
    return said


def test_one_that_is_silent_while_another_is_heard_is_lost_and_told_once() -> None:
    publishers = Publishers()
    assert not publishers.is_lost("a")
    assert turns(publishers, 6, "b") == [False, False, False, True, False, False]
    assert (publishers.is_lost("a"), publishers.is_lost("b")) == (True, False)


def test_with_nobody_heard_nobody_is_lost() -> None:
    publishers = Publishers()
    publishers.heard("a")
    assert not any(turns(publishers, 10))
    assert not publishers.is_lost("a")


def test_one_that_is_heard_again_is_back() -> None:
    publishers = Publishers()
    assert not publishers.is_lost("a")
    turns(publishers, 5, "b")
    assert publishers.heard("a")
    assert not publishers.heard("a")
    assert not publishers.is_lost("a")
    assert turns(publishers, 4, "b") == [False, False, False, False]
    assert turns(publishers, 1, "b") == [True]


def test_asking_again_keeps_nobody() -> None:
    publishers = Publishers()
    said = []
    for _ in range(5):
        said.append(publishers.is_lost("a"))
        turns(publishers, 1, "b")
    assert said == [False, False, False, False, True]
