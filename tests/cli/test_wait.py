"""`penstock wait`: what an offset changed and proxies rejected is not called run."""

from __future__ import annotations

import asyncio
from typing import Any

from streams.cli.commands.wait import _held, _Wish
from streams.codec import dumps, progress_records
from streams.memory import MemoryLog
from streams.ports import Outgoing
from streams.topics import Topic, key

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
