"""What `penstock run` shows of the graph, and what it keeps of it."""

import asyncio

from streams.cli.view import _nodes, _Seen, _table, _updates
from streams.codec import dumps
from streams.memory import MemoryLog
from streams.ports import Outgoing
from streams.topics import PROGRESS, Topic, key

GATEWAY = "c/gateway.networking.k8s.io/Gateway/default/gw"


def row(name: str, value: object, offset: int) -> Outgoing:
    headers = (("offset", b"%d" % offset), ("index", b"%d" % (1 << 40 if name == PROGRESS else 0)))
    return Outgoing(Topic.GRAPH, 0, key("default", name), None if value is None else dumps(value), headers)


async def test_routes_are_not_kept() -> None:
    log, seen = MemoryLog(), _Seen()
    async with log.writer("w") as writer, asyncio.timeout(10):
        await writer.write(
            [
                row(f"gateway/{GATEWAY}", {"gateway": GATEWAY, "listeners": ["web"]}, 0),
                row(f"listener/{GATEWAY}/web", {"name": "web", "port": 80, "attachedRoutes": 7}, 0),
                row("route/c/gateway.networking.k8s.io/HTTPRoute/default/r", {"rules": []}, 0),
                row(PROGRESS, {}, 0),
            ]
        )
        task = asyncio.create_task(_nodes(log, 0, seen))
        while not seen.nodes:
            await asyncio.sleep(0)
        assert sorted(seen.nodes) == [f"gateway/{GATEWAY}", f"listener/{GATEWAY}/web"]
        assert [list(column.cells) for column in _table(seen).columns[:4]] == [["default/gw"], ["web"], ["80"], ["7"]]
        await writer.write([row(f"listener/{GATEWAY}/web", None, 1), row(PROGRESS, {}, 1)])
        while len(seen.nodes) > 1:
            await asyncio.sleep(0)
        task.cancel()


async def test_the_last_change_is_told_in_words() -> None:
    log, seen = MemoryLog(), _Seen()
    update = {
        "offset": 7,
        "changes": [{"verb": "put", "ref": GATEWAY}, {"verb": "tick"}],
        "downstream": {"fragments": {"set": ["a", "b"], "removed": []}},
    }
    async with log.writer("w") as writer, asyncio.timeout(10):
        task = asyncio.create_task(_updates(log, 0, seen.changed))
        assert _table(seen).caption == "no change yet"
        while seen.last == "no change yet":
            for value in (b"garbage", dumps(update)):
                await writer.write([Outgoing(Topic.UPDATES, 0, b"default", value)])
            await asyncio.sleep(0.01)
        task.cancel()
    told = "last change: offset 7: put Gateway default/gw, tick -> 2 fragments set, 0 removed"
    assert _table(seen).caption == told
