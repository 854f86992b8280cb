"""The auditor of the topics: each way of losing, repeating or changing a record is seen, and what is allowed is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.engine import VERSION
from streams.domain import Domain, DomainOptions
from streams.memory import MemoryLog
from streams.ports import Record
from streams.topics import OUTPUTS, PROGRESS, Topic, split_key
from tests.chaos.ledger import Audit, against, audit, fold, read_topics
from tests.streams.toy import TIME, ToyEngine, append, change_set, put

Topics = dict[Topic, list[Record]]


async def topics() -> Topics:
    """Four change sets as a resolver writes them that was taken over in the middle."""
    log = MemoryLog()
    sets = [
        change_set(put("a", 1), put("b", 1)),
        change_set(put("a", 2)),
        change_set(put("c", 1)),
        change_set(put("b", 3)),
    ]
    for change_sets in (sets[:2], sets[2:]):
        await append(log, *change_sets)
        domain = Domain(log, ToyEngine, DomainOptions(version=VERSION, clock=lambda: TIME))
        await domain.acquire()
        await domain.release()
    return await read_topics(log)


def judged(found: Topics) -> tuple[Audit, list[str]]:
    return audit(found), against(fold(found[Topic.CHANGES], ToyEngine()), found)


def at(found: Topics, topic: Topic, index: int) -> int:
    """The number of the index-th row of a topic that is neither progress nor opening."""
    numbers = [number for number, one in enumerate(found[topic]) if not split_key(one.key or b"")[1].startswith("~")]
    return numbers[index]


def again(record: Record, value: bytes | None) -> Record:
    return record._replace(value=value)


async def test_what_is_as_it_must_be_is_called_right() -> None:
    found = await topics()
    result, different = judged(found)
    assert (result.wrong, different) == ([], [])
    assert result.offsets == len(found[Topic.CHANGES]) == 5
    assert not result.repeats


async def test_what_a_hung_transaction_repeats_is_dropped_and_counted() -> None:
    found = await topics()
    for topic in OUTPUTS:
        rows = [one for one in found[topic] if one.headers]
        found[topic] = [*found[topic], *rows[-2:]]
    result, different = judged(found)
    assert (result.wrong, different) == ([], [])
    assert result.repeats == dict.fromkeys(OUTPUTS, 2)


def _lost(found: Topics) -> None:
    del found[Topic.XDS][at(found, Topic.XDS, 1)]


def _said_anew(found: Topics) -> None:
    number = at(found, Topic.XDS, 1)
    found[Topic.XDS].insert(number + 1, again(found[Topic.XDS][number], b"other"))


def _late(found: Topics) -> None:
    rows = found[Topic.XDS]
    rows.append(rows.pop(at(found, Topic.XDS, 3)))


def _update_lost(found: Topics) -> None:
    del found[Topic.UPDATES][at(found, Topic.UPDATES, 2)]


def _unclosed(found: Topics) -> None:
    closing = [number for number, one in enumerate(found[Topic.STATUS]) if split_key(one.key or b"")[1] == PROGRESS]
    del found[Topic.STATUS][closing[1]]


def _skipped(found: Topics) -> None:
    """Everything that one offset changed is missing, and nobody would notice from one topic."""
    offset = str(found[Topic.CHANGES][2].offset)
    for topic in OUTPUTS:
        found[topic] = [one for one in found[topic] if one.header("offset") != offset]


def _twice(found: Topics) -> None:
    """One offset is applied again, as if it were another one."""
    last = found[Topic.CHANGES][-1].offset
    for topic in OUTPUTS:
        rows = [one for one in found[topic] if one.header("offset") == str(last)]
        moved = [
            one._replace(headers=tuple((name, b"99" if name == "offset" else value) for name, value in one.headers))
            for one in rows
        ]
        found[topic] = [*found[topic], *moved]


def _log_repeats(found: Topics) -> None:
    last = found[Topic.CHANGES][-1]
    found[Topic.CHANGES].append(last._replace(offset=last.offset + 1))


def _rejected(found: Topics) -> None:
    found[Topic.REJECTED].append(found[Topic.CHANGES][0])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_lost, "has the records"),
        (_said_anew, "comes again and says something else"),
        (_late, "stands behind"),
        (_update_lost, "updates: closed 4, wanted 5"),
        (_unclosed, "status: closed 4, wanted 5"),
        (_skipped, "offset 4 has the records []"),
        (_twice, "records of offset 99"),
        (_log_repeats, "puts local//Thing/default/b as it is"),
        (_log_repeats, "twice, at offset"),
        (_rejected, "was rejected"),
    ],
)
async def test_what_is_wrong_is_seen(spoil: Callable[[Topics], None], says: str) -> None:
    found = await topics()
    spoil(found)
    assert any(says in one for one in audit(found).wrong), audit(found).wrong


@pytest.mark.parametrize("topic", OUTPUTS)
async def test_another_byte_than_a_clean_replay_says_is_seen(topic: Topic) -> None:
    found = await topics()
    clean = fold(found[Topic.CHANGES], ToyEngine())
    number = at(found, topic, 1)
    found[topic][number] = again(found[topic][number], b"other")
    (wrong,) = against(clean, found)
    assert wrong.startswith(f"{topic.value}: against a clean replay")
    del found[topic][number]
    assert against(clean, found)
    assert audit(found).wrong
