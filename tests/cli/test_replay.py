"""`penstock replay --to` and other options with a number: what cannot be answered is refused, not answered otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.kafka import KafkaLog
from streams.topics import Topic
from tests.cli.log import Place, resolved
from tests.streams.toy import forget

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("data")) as found:
        yield found


def ends(place: Place) -> tuple[int, int]:
    return asyncio.run(KafkaLog(place.brokers, place.prefix).ends(Topic.CHANGES, 0))


@pytest.mark.parametrize("to", [-1, -(10**30)])
def test_an_offset_below_zero_is_none(place: Place, to: int) -> None:
    result = place.run("replay", "--to", str(to))
    last = ends(place)[1] - 1
    said = f"there is no offset {to}: the log holds 0 to {last}; name one of these with --to, or leave it out"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"penstock: {said}\n")


@pytest.mark.parametrize("more", [0, 10**30])
def test_an_offset_behind_the_end_is_not_there(place: Place, more: int) -> None:
    end = ends(place)[1]
    result = place.run("replay", "--to", str(end + more))
    said = f"there is no offset {end + more}: the log holds 0 to {end - 1}; name one of these with --to, or leave it out"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"penstock: {said}\n")


def test_the_last_offset_and_the_first_are_there(place: Place) -> None:
    last = ends(place)[1] - 1
    assert place.prints("replay", "--to", str(last)) == place.prints("replay")
    assert place.prints("replay", "--to", "0").startswith("offset 0: ")


def test_an_offset_that_is_no_longer_kept_is_not_there(broker: str, tmp_path: Path) -> None:
    with resolved(broker, tmp_path) as place:
        found: Any = place.tells("log")
        kept = found[-1]["offset"]
        asyncio.run(forget(KafkaLog(place.brokers, place.prefix), Topic.CHANGES, kept))
        first, end = ends(place)
        assert first == kept
        result = place.run("replay", "--to", "0")
        said = f"there is no offset 0: the log holds {first} to {end - 1}; name one of these with --to, or leave it out"
        assert (result.exit_code, result.stderr) == (1, f"penstock: {said}\n")
        # The rest alone is another world than the live one: that must be said.
        result = place.run("replay")
        said = f"the log begins at offset {first}: what was said before it is not in this replay"
        assert (result.exit_code, result.stderr) == (0, f"penstock: {said}\n")


@pytest.mark.parametrize("words", [("--to", "0"), ("--out", "somewhere")])
def test_what_is_live_is_no_replay(place: Place, words: tuple[str, ...]) -> None:
    result = place.run("replay", "--live", *words)
    said = f"--live prints what is emitted now, {words[0]} is for a replay: leave one of the two out"
    assert (result.exit_code, result.stderr) == (2, f"penstock: {said}\n")


def test_less_than_no_update_is_not_shown(place: Place) -> None:
    result = place.run("log", "--limit", "-1")
    said = "--limit -1 is less than none: give 0 or more"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"penstock: {said}\n")
    assert place.tells("log", "--limit", "0") == []


def test_more_updates_than_there_are(place: Place) -> None:
    assert place.prints("log", "--limit", str(10**30)) == place.prints("log")
