"""`penstock wait`: what an offset changed and proxies rejected is not called run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.cli.commands.wait import _held, _late, _Wish
from streams.codec import dumps, progress_records
from streams.lag import Asking
from streams.memory import MemoryLog
from streams.ports import Outgoing
from streams.topics import Topic, key
from tests.streams.test_lag import proxy, row, update

ROUTE = "local/gateway.networking.k8s.io/HTTPRoute/default/r"
OTHER = "local/gateway.networking.k8s.io/HTTPRoute/default/other"
GATEWAY = "local/gateway.networking.k8s.io/Gateway/default/gw"
ROWS = {
    f"resource/{ROUTE}": {"offset": 7},
    f"resource/{OTHER}": {"offset": 7},
    "quarantine/f": {"gateway": GATEWAY, "fragment": f"{GATEWAY}/listener/l", "objects": [[ROUTE, 2], [OTHER, 1]], "held": [ROUTE], "error": "no such filter"},
}


def held(offset: int, cluster: str = "") -> list[dict[str, Any]]:
    async def work() -> list[dict[str, Any]]:
        log = MemoryLog()
        async with log.writer("resolver") as writer:
            headers = (("offset", b"8"), ("index", b"0"))
            await writer.write(Outgoing(Topic.STATE, 0, key("default", k), dumps(v), headers) for k, v in ROWS.items())
            await writer.write(one for one in progress_records("default", 0, 8, {"time": "", "engine": "1"}))
        return await _held(log, 0, _Wish(offset, None, cluster, 1.0), offset)

    return asyncio.run(work())


def test_an_object_of_this_offset_that_is_held_is_named() -> None:
    assert held(7) == [{"object": ROUTE, "left_out": "", "error": "no such filter"}]
    assert held(7, "local") == held(7)


def test_one_of_another_offset_or_cluster_is_not() -> None:
    assert held(6) == []
    assert held(7, "east") == []


async def test_an_offset_of_long_ago_that_all_proxies_run_makes_nobody_look_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.lag._MOST", 64)
    log, begun = MemoryLog(), list[int]()
    asking = Asking(log, 0, 60, begun.append)

    async def late(runs: int) -> list[str]:
        async with log.writer("projections") as writer:
            shown = {"gateway": GATEWAY, **row(a=proxy(runs))}
            await writer.write([Outgoing(Topic.CONVERGENCE, 0, key("default", GATEWAY), dumps(shown))])
        return [one.reason for one in (await _late(log, 0, _Wish(4, None, "", 1.0), 4, asking))[0]]

    async with log.writer("resolver") as writer:
        await writer.write([update(offset, GATEWAY) for offset in range(200)])
    assert await late(199) == await late(4) == []
    assert await late(-1) == ["proxy a has not acknowledged anything yet"]
    assert begun == []
    assert await late(3) == ["proxy a runs 3, 1 changes behind"]
    assert len(begun) == 1
