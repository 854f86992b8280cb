"""Who has not acknowledged what concerns its Gateway: by the updates above what it runs, and by no others."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from streams.lag import Asking, Lag, Recent, Touch, behind, lag, lowest_acknowledged, recent
from streams.memory import MemoryLog
from streams.ports import Outgoing
from streams.topics import Topic, key

ONE = "local/gateway.networking.k8s.io/Gateway/default/one"
TWO = "local/gateway.networking.k8s.io/Gateway/default/two"


def touch(offset: int, *gateways: str) -> Touch:
    return Touch(offset, f"t{offset}", frozenset(gateways))


def found(*touches: Touch) -> Recent:
    return Recent(touches, touches[-1].offset if touches else -1, is_whole=True)


def proxy(offset: int, *, connected: bool = True, error: str = "") -> dict[str, Any]:
    return {"offset": offset, "connected": connected, "error": error}


def row(**proxies: dict[str, Any]) -> dict[str, Any]:
    connected = [one["offset"] for one in proxies.values() if one["connected"]]
    return {"proxies": proxies, "lowest": min(connected, default=None)}


def test_what_concerns_another_gateway_is_run_without_a_word() -> None:
    there = found(touch(4, ONE), touch(5, TWO), touch(6))
    assert behind({ONE: row(a=proxy(4))}, [], there, 6) == []
    assert [one.gateway for one in behind({TWO: row(a=proxy(4))}, [], there, 6)] == [TWO]


def test_what_came_later_is_not_waited_for() -> None:
    there = found(touch(4, ONE), touch(9, ONE))
    assert behind({ONE: row(a=proxy(4))}, [], there, 8) == []
    assert behind({ONE: row(a=proxy(4))}, [], there, 9) != []


def test_each_connected_proxy_counts_and_none_that_is_gone() -> None:
    there = found(touch(4, ONE))
    assert behind({ONE: row(a=proxy(4), b=proxy(1, connected=False))}, [], there, 4) == []
    late = behind({ONE: row(a=proxy(4), b=proxy(1))}, [], there, 4)
    assert [one.reason for one in late] == ["proxy b runs 1, 1 changes behind"]


def test_a_gateway_that_wants_proxies_runs_nothing_without_one() -> None:
    there = found(touch(4))
    assert [one.reason for one in behind({}, [ONE], there, 4)] == ["no proxy is connected"]
    told = row(a=proxy(4, connected=False)) | {"undeployed": "no image"}
    assert [one.reason for one in behind({ONE: told}, [ONE], there, 4)] == ["no proxy is connected: no image"]
    assert behind({ONE: told}, [], there, 4) == []


def test_a_new_proxy_has_nothing_until_it_acknowledges() -> None:
    late = behind({ONE: row(a=proxy(-1))}, [], found(touch(4, TWO)), 4)
    assert [one.reason for one in late] == ["proxy a has not acknowledged anything yet"]


def test_what_it_rejected_is_told() -> None:
    late = behind({ONE: row(a=proxy(3, error="no such filter"))}, [], found(touch(4, ONE)), 4)
    assert late[0].reason == "proxy a runs 3, 1 changes behind, and rejected what it was sent: no such filter"


def test_a_lag_is_counted_from_the_oldest_change_that_waits() -> None:
    there = (touch(4, ONE), touch(5, TWO), touch(6, ONE), touch(7, ONE))
    assert lag(there, ONE, 4) == Lag(2, "t6")
    assert lag(there, ONE, 7) == Lag(0, None)


def test_only_as_much_of_the_topic_is_read_as_lies_above() -> None:
    async def work() -> tuple[Recent, int]:
        log = MemoryLog()
        async with log.writer("resolver") as writer:
            for offset in range(2_000):
                await writer.write([update(offset)])
        before = len([one async for batch in log.read(Topic.UPDATES, 0) for one in batch])
        return await recent(log, 0, 1_990), before

    there, many = asyncio.run(work())
    assert many == 2_000
    assert [one.offset for one in there.touches] == list(range(1_991, 2_000))
    assert (there.resolved, there.is_whole) == (1_999, True)
    assert there.touches[0].gateways == {ONE}
    assert asyncio.run(_none()) == Recent((), -1, is_whole=True)


async def _none() -> Recent:
    return await recent(MemoryLog(), 0, 5)


def update(offset: int, gateway: str = ONE) -> Outgoing:
    fragments = {"set": [f"{gateway}/route/r", "of/a/newer/version"], "removed": []}
    value = {
        "offset": offset, "time": "t", "cluster": "local", "source": "s", "actor": "", "engine": "1",
        "changes": [], "downstream": {"fragments": fragments, "nodes": {"set": [], "removed": []}, "statuses": []},
    }  # fmt: skip
    headers = (("offset", str(offset).encode()), ("index", b"0"))
    return Outgoing(Topic.UPDATES, 0, key("default", str(offset)), orjson.dumps(value), headers)


def test_of_what_was_not_looked_at_nobody_says_that_it_is_run() -> None:
    there = Recent((touch(50, TWO), touch(60, TWO)), 60, is_whole=False)
    rows = {ONE: row(a=proxy(5))}
    late = behind(rows, [], there, 60)
    assert [one.reason for one in late] == ["proxy a runs 5, behind by more than can be seen"]
    assert behind(rows, [], there, 6) != []
    # It runs that, whatever came later; and above what it runs nothing is unseen.
    assert behind(rows, [], there, 5) == []
    assert behind({ONE: row(a=proxy(49))}, [], there, 60) == []
    assert behind({TWO: row(a=proxy(49))}, [], there, 60) != []
    rejects = behind({ONE: row(a=proxy(5, error="no"))}, [], there, 60)
    assert rejects[0].reason.endswith("behind by more than can be seen, and rejected what it was sent: no")


async def test_who_must_know_looks_further_back_and_at_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.lag._MOST", 64)
    log, begun = MemoryLog(), []
    asking = Asking(log, 0, 60, begun.append)
    async with log.writer("resolver") as writer:
        for offset in range(1_000):
            await writer.write([update(offset, ONE if offset in {10, 990} else TWO)])
        there = await asking.recent(4)
        assert (there.is_whole, there.resolved) == (True, 999)
        assert [one.offset for one in there.touches if ONE in one.gateways] == [10, 990]
        await writer.write([update(offset, ONE if offset == 1_001 else TWO) for offset in range(1_000, 1_010)])
        again = await asking.recent(4)
        assert [one.offset for one in again.touches] == list(range(5, 1_010))
        assert [one.offset for one in (await asking.recent(9)).touches] == list(range(10, 1_010))
        assert begun == [932]
        # What lies between two looks is not missed.
        await writer.write([update(offset, TWO) for offset in range(1_010, 1_200)])
        assert [one.offset for one in (await asking.recent(4)).touches] == list(range(5, 1_200))
        assert len(begun) == 2


class Slow(MemoryLog):
    """It answers a turn of the loop later, as one across a network does."""

    async def ends(self, topic: Topic, partition: int) -> tuple[int, int]:
        await asyncio.sleep(0)
        return await super().ends(topic, partition)


async def test_who_has_no_time_to_look_knows_that_he_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.lag._MOST", 64)
    log = Slow()
    async with log.writer("resolver") as writer:
        await writer.write([update(offset) for offset in range(200)])
    assert not (await Asking(log, 0, 0).recent(4)).is_whole


def test_a_proxy_that_has_nothing_yet_makes_nobody_look_back() -> None:
    rows = [row(a=proxy(-1), b=proxy(7)), row(c=proxy(3, connected=False)), row(d=proxy(9))]
    assert lowest_acknowledged(rows) == 7
    assert lowest_acknowledged([row(a=proxy(-1))]) is None


def test_a_proxy_in_another_cluster_lags_behind_its_gateway() -> None:
    there = found(touch(4, ONE), touch(5, TWO))
    late = behind({f"{ONE}@west": row(a=proxy(3))}, [ONE, f"{ONE}@west"], there, 5)
    assert [(one.gateway, one.reason) for one in late] == [
        (ONE, "no proxy is connected"),
        (f"{ONE}@west", "proxy a runs 3, 1 changes behind"),
    ]
