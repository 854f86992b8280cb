"""The endpoint of a role, and of several processes in one place, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from streams.telemetry import Telemetry
from streams.telemetry.process import seen, seen_together
from tests.support.running import free_port
from tests.telemetry.asked import get, readiness


async def _with(address: str, words: list[str], look: Callable[[], Awaitable[None]]) -> None:
    async def work(telemetry: Telemetry) -> None:
        with telemetry.health.part("log", lambda: words[0]):
            await look()

    await seen(address, work)


async def test_a_role_answers_what_it_waits_for() -> None:
    port, words = free_port(), ["reads"]

    async def look() -> None:
        assert await asyncio.to_thread(get, port, "/healthz") == (200, b"ok\n")
        assert await asyncio.to_thread(readiness, port) == (503, {"ready": False, "waiting": {"log": "reads"}})
        words[0] = ""
        assert await asyncio.to_thread(readiness, port) == (200, {"ready": True, "waiting": {}})
        assert (await asyncio.to_thread(get, port, "/nothing"))[0] == 404

    await _with(f"127.0.0.1:{port}", words, look)
    assert get(port, "/healthz") == (0, b"")


async def test_a_port_that_is_taken_is_named() -> None:
    port = free_port()

    async def look() -> None:
        with pytest.raises(OSError, match=f"PENSTOCK_HEALTH_LISTEN: 127.0.0.1:{port} cannot be listened on"):
            await _with(f"127.0.0.1:{port}", [""], look)

    await _with(f"127.0.0.1:{port}", [""], look)


async def test_several_are_ready_when_all_are(tmp_path: Path) -> None:
    port, words = free_port(), ["reads"]
    roles = {name: f"unix:{tmp_path}/health/{name}.sock" for name in ("resolve", "publish")}

    async def together() -> None:
        status, body = await asyncio.to_thread(readiness, port)
        assert (status, body["waiting"]) == (503, {"resolve": "log: reads", "publish": "process: does not answer"})

        async def both() -> None:
            status, body = await asyncio.to_thread(readiness, port)
            assert (status, body["waiting"]) == (503, {"resolve": "log: reads"})
            assert body["roles"]["publish"] == {"ready": True, "waiting": {}}
            words[0] = ""
            status, body = await asyncio.to_thread(readiness, port)
            assert (status, body["ready"], body["waiting"]) == (200, True, {})

        await _with(roles["publish"], [""], both)
        # Its socket is left as a killed process leaves it.
        status, body = await asyncio.to_thread(readiness, port)
        assert body["waiting"] == {"publish": "process: does not answer"}

    async def resolving() -> None:
        await seen_together(f"127.0.0.1:{port}", roles, together())

    await _with(roles["resolve"], words, resolving)
