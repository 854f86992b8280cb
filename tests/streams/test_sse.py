"""Server-sent events: a snapshot, then what follows; ids to come back with; nobody holds up another."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer

from streams.cli.schemas import schemas
from streams.memory import MemoryLog
from streams.sse import Serving, application
from tests.streams.test_client import _BASE, _KEY, resolved, shop
from tests.streams.toy import append, kafka_log, until
from tests.support.manifests import change_set, delete, put


@asynccontextmanager
async def served(log: MemoryLog, token: str = "", **more: float) -> AsyncIterator[TestClient]:
    stopping = asyncio.Event()
    serving = Serving(log, 0, schemas(), token, **more)
    async with TestClient(TestServer(application(serving, stopping))) as client:
        try:
            yield client
        finally:
            stopping.set()


async def events(response: aiohttp.ClientResponse, last: str, count: int = 1) -> list[tuple[str, Any, str]]:
    """(event, data, id) up to so many of one kind."""
    found: list[tuple[str, Any, str]] = []
    async with asyncio.timeout(240):
        while sum(one[0] == last for one in found) < count:
            frame = (await response.content.readuntil(b"\n\n")).decode()
            fields = dict(line.split(": ", 1) for line in frame.strip("\n").split("\n"))
            if "event" in fields:
                found.append((fields["event"], orjson.loads(fields["data"]), fields.get("id", "")))
            elif last == "beat":
                return found
    return found


async def test_routes_are_a_snapshot_and_what_follows_and_ids_lead_back() -> None:
    log = MemoryLog()
    await resolved(log, _BASE, [shop("pay-v1")])
    async with served(log) as client:
        async with client.get("/v1/routes") as response:
            first = await events(response, "progress")
            assert [one[0] for one in first] == ["snapshot", "set", "progress"]
            assert first[1][1]["value"]["hostnames"] == ["shop.example.com"]
            assert [bool(one[2]) for one in first] == [False, False, True]
            await resolved(log, [shop("pay-v2")])
            assert [one[0] for one in await events(response, "progress")] == ["set", "progress"]
        await resolved(log, [delete(shop("pay-v1"))])
        async with client.get("/v1/routes", headers={"last-event-id": first[-1][2]}) as response:
            again = await events(response, "progress")
        assert [(one[0], one[1].get("name")) for one in again[:-1]] == [("removed", _KEY)]
        async with client.get("/v1/routes?namespace=elsewhere") as response:
            assert [one[0] for one in await events(response, "progress")] == ["snapshot", "progress"]


async def test_updates_and_changes_are_filtered_and_secrets_are_not_shown() -> None:
    log = MemoryLog()
    secret = put("", "v1", "Secret", "key", {"data": {"k": "AAAAsealed"}, "stringData": {"l": "clear"}})
    await resolved(log, _BASE, [shop("pay-v1")], [secret], [shop("pay-v2", "b.example.com", "other")])
    async with served(log) as client:
        async with client.get("/v1/changes?since=c.0") as response:
            text = orjson.dumps([one[1] for one in await events(response, "changeset", 5)]).decode()
        assert "(sealed)" in text
        assert "AAAAsealed" not in text
        assert "clear" not in text
        async with client.get("/v1/updates?since=u.0&host=b.example.com") as response:
            (only,) = await events(response, "update")
        assert [one["node"].rsplit("/", 1)[1] for one in only[1]["routing"]] == ["other"]
        for path in ("/v1/updates?since=g.1.1.1", "/v1/routes?since=odd"):
            async with client.get(path) as response:
                assert response.status == 400
                assert "begin without one" in await response.text()


async def test_schemas_are_served_and_a_token_is_asked_for() -> None:
    async with served(MemoryLog(), "s3cret") as client:
        for headers, status in (({}, 401), ({"authorization": "Bearer no"}, 401), ({"authorization": "Bearer s3cret"}, 200)):
            async with client.get("/v1/schemas/update.v1", headers=headers) as response:
                assert response.status == status
        headers = {"authorization": "Bearer s3cret"}
        async with client.get("/v1/schemas/none", headers=headers) as response:
            assert response.status == 404


async def test_silence_is_broken_and_who_takes_nothing_is_let_go() -> None:
    log = MemoryLog()
    await resolved(log, _BASE)
    async with served(log, beat=0.01, slow=0.2) as client:
        async with client.get("/v1/routes") as response:
            await events(response, "progress")
            await events(response, "beat")
        large = change_set(put("", "v1", "ConfigMap", "x", {"data": {"x": "y" * 600_000}}))
        await append(log, *[large] * 40, source="files")
        server = client.server
        # What the kernel takes for it is a few MB: far less than there is.
        _, writer = await asyncio.open_connection(server.host, server.port, limit=1)
        writer.write(b"GET /v1/changes?since=c.0 HTTP/1.1\r\nhost: a\r\n\r\n")
        mine = writer.get_extra_info("sockname")

        async def question() -> bool:
            ends = [one.transport.get_extra_info("peername") for one in server.runner.server.connections if one.transport]
            return (mine in ends) is is_there

        for is_there in (True, False):  # noqa: B007  the question reads it
            await until(question)
        writer.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--listen", "0.0.0.0:0"], "give --token-file"),
        (["--listen", "nothing"], "host:port"),
        (["--token-file", "/proc/none"], "--token-file /proc/none"),
    ],
)
def test_it_listens_elsewhere_only_with_a_token(words: list[str], says: str) -> None:
    done = subprocess.run([sys.executable, "-m", "streams.cli", "stream", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.kafka
async def test_the_command_serves_a_real_log_and_ends_when_asked(broker: str, tmp_path: Path) -> None:
    async with kafka_log(broker) as log:
        await resolved(log, _BASE, [shop("pay-v1")])
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "streams.cli", "stream", "--listen", "127.0.0.1:0", "--brokers", broker,
            "--data", str(tmp_path), stdout=subprocess.PIPE,
            env={**os.environ, "PENSTOCK_TOPIC_PREFIX": log.prefix},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
            address = re.search(r"http://\S+", line)
            assert address is not None
            async with aiohttp.ClientSession() as session, session.get(f"{address[0]}/v1/routes") as response:
                assert [one[0] for one in await events(response, "progress")] == ["snapshot", "set", "progress"]
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(120):
                    assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
