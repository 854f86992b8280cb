"""What penstock.updates says of an update survives the wire, in as many small records as it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.update import Delta, Update
from streams.codec import change_summary, encode_update
from streams.memory import MemoryLog
from streams.ports import Outgoing, Record
from streams.topics import PART_BYTES, Topic
from streams.updates import Whole, decode_update
from tests.streams.test_domain import resolved
from tests.streams.toy import TIME, append, change_set, put, records

_NAME = "checkout-" * 20
_MANY = 1_700


def raw(value: Any) -> Record:
    return Record(Topic.UPDATES, 0, 0, b"default", value if isinstance(value, bytes) else orjson.dumps(value), (), 0)


def recorded(some: list[Outgoing]) -> list[Record]:
    return [Record(one.topic, 0, at, one.key, one.value, one.headers, 0) for at, one in enumerate(some)]


def public(update: Update, summary: dict[str, Any]) -> list[Record]:
    return recorded([one for one in encode_update("default", 0, update, summary) if one.topic is Topic.UPDATES])


async def test_an_update_of_many_names_is_written_in_records_under_900_kib() -> None:
    """One record of 16,000 routes was larger than Kafka takes: their domain was never resolved."""
    log = MemoryLog()
    cause = change_set(*(put(f"{_NAME}{number}", number) for number in range(_MANY)))
    await append(log, cause)
    await resolved(log)
    found = [one for one in await records(log, Topic.UPDATES) if one.key == b"default"]
    assert len(found) > 1
    assert max(len(one.value or b"") for one in found) < 900 * 1024
    positions = [(one.header("offset"), int(one.header("index"))) for one in found]
    offset = found[0].header("offset")
    assert positions == [(offset, positions[0][1] + number) for number in range(len(found))]
    (whole,) = Whole().take(found)
    assert whole["changes"] == change_summary(cause)["changes"]
    assert len(whole["downstream"]["fragments"]["set"]) == _MANY
    assert len(whole["downstream"]["nodes"]["set"]) == _MANY
    assert len(whole["downstream"]["statuses"]) == _MANY


async def test_a_small_update_is_one_record() -> None:
    log = MemoryLog()
    await append(log, change_set(put("a", 1)))
    await resolved(log)
    (found,) = [one for one in await records(log, Topic.UPDATES) if one.key == b"default"]
    value = orjson.loads(found.value or b"")
    assert (value["part"], value["parts"]) == (0, 1)


_names = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), unique=True, max_size=6)


@given(_names, _names, _names, st.integers(1, 5))
def test_parts_come_to_the_whole(fragments: list[str], nodes: list[str], statuses: list[str], size: int) -> None:
    update = Update(
        7,
        TIME,
        fragments=Delta({}, frozenset(fragments)),
        nodes=Delta({name: {} for name in nodes}),
        statuses=Delta({}, frozenset(statuses)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.updates.PART_BYTES", 1340 + 10 * size)
        found = public(update, {"actor": "me", "changes": [{"verb": "tick"}]})
    (whole,) = Whole().take(found)
    assert whole == {
        "actor": "me",
        "changes": [{"verb": "tick"}],
        "offset": 7,
        "time": TIME,
        "downstream": {
            "fragments": {"set": [], "removed": sorted(fragments)},
            "nodes": {"set": sorted(nodes), "removed": []},
            "statuses": sorted(statuses),
        },
        "routing": [{"node": name, "verb": "added", "after": {}} for name in sorted(nodes)],
        "schema": 1,
    }


def test_what_is_seen_twice_or_from_its_middle_is_told_once() -> None:
    update = Update(7, TIME, nodes=Delta({f"{_NAME}{number}": {} for number in range(_MANY * 6)}))
    found = public(update, {"changes": []})
    later = public(replace(update, offset=8, nodes=Delta()), {"changes": []})
    assert len(found) > 2
    assert [one["offset"] for one in Whole().take([*found[1:], *later])] == [8]
    (whole,) = Whole().take([*found[:2], *found, *found[1:]])
    assert len(whole["downstream"]["nodes"]["set"]) == _MANY * 6


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        None,
        [],
        {"offset": "1", "changes": [], "downstream": {}},
        {"offset": True, "changes": [], "downstream": {}},
        {"offset": 1, "changes": [1], "downstream": {}},
        {"offset": 1, "changes": [{"verb": 1}], "downstream": {}},
        {"offset": 1, "changes": [{"verb": "put", "ref": [1]}], "downstream": {}},
        {"offset": 1, "changes": None, "downstream": {}},
        {"offset": 1, "changes": [], "downstream": []},
        {"offset": 1, "changes": [], "downstream": {"fragments": []}},
        {"offset": 1, "changes": [], "downstream": {"fragments": {"set": 3}}},
        {"offset": 1, "changes": [], "downstream": {"statuses": {}}},
        {"offset": 1, "changes": [], "downstream": {"statuses": [1]}},
        {"offset": 1, "changes": [], "downstream": {}, "part": 2, "parts": 2},
        {"offset": 1, "changes": [], "downstream": {}, "part": None},
    ],
)
def test_what_is_no_update_is_none(value: Any) -> None:
    assert decode_update(raw(value)) is None


def test_an_update_of_an_older_version_is_one_part() -> None:
    (whole,) = Whole().take([raw({"offset": 1, "changes": [{"verb": "tick"}], "downstream": {}})])
    assert whole["offset"] == 1
    assert whole["downstream"]["fragments"] == {"set": [], "removed": []}


def test_parts_stay_under_what_the_design_says() -> None:
    assert PART_BYTES <= 900 * 1024
