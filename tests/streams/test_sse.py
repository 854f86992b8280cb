"""Server-sent events: a snapshot, then what follows; ids to come back with; nobody holds up another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
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
from streams.client import Where
from streams.client.following import told
from streams.codec import encode_change_set
from streams.listening import listening
from streams.memory import MemoryLog
from streams.ports import LogError, Outgoing, Record
from streams.sse import Serving, application
from streams.topics import Topic
from streams.view import Batch
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


async def test_now_has_an_id_before_anything_came_and_so_has_what_was_passed_over() -> None:
    log = MemoryLog()
    await resolved(log, _BASE, [shop("pay-v1")])
    for path in ("/v1/updates", "/v1/changes"):
        async with served(log) as client, client.get(path) as response:  # long before the first beat
            opening = await response.content.readuntil(b"\n\n")
            assert opening.startswith(b"id: ")
            assert b"data" not in opening
        token = opening.decode().strip().removeprefix("id: ")
        await resolved(log, [shop("pay-v2", path.strip("/").replace("/", "-") + ".example.com")])
        async with served(log) as client, client.get(path, headers={"last-event-id": token}) as response:
            assert len(await events(response, path[4:-1].replace("change", "changeset"))) == 1
        async with served(log, beat=0.05) as client, client.get(f"{path}?namespace=no&since={token}") as response:
            assert (await response.content.readuntil(b"\n\n")).decode() == f"id: {token}\n\n"
            found = [await response.content.readuntil(b"\n\n") for _ in range(2)]
            (passed,) = [one.decode() for one in found if b"id: " in one]
            assert passed.startswith(f": \nid: {path[4]}.")
    async with served(log, beat=0.05) as client, client.get("/v1/routes?namespace=no") as response:
        first = (await events(response, "progress"))[-1][2]
        await resolved(log, [shop("pay-v1")])
        while b"id: " not in (frame := await response.content.readuntil(b"\n\n")):
            assert frame == b": \n\n"
        assert frame.decode() != f": \nid: {first}\n\n"


async def test_what_was_passed_over_before_an_event_leads_nobody_back_before_it() -> None:
    log = MemoryLog()
    await resolved(log, _BASE, [shop("pay-v1")], [shop("pay-v2", "b.example.com", "other")])
    async with served(log, beat=0.05) as client, client.get("/v1/updates?since=u.0&host=b.example.com") as response:
        await events(response, "update")
        assert [await response.content.readuntil(b"\n\n") for _ in range(3)] == [b": \n\n"] * 3


_PLAIN = "hunter2"


@pytest.mark.parametrize(
    "odd",
    [
        {"data": [{"a": _PLAIN}]},
        {"data": _PLAIN},
        {"stringData": [_PLAIN]},
        {"more": {"k": _PLAIN}},
        {"data": {"k": {"l": _PLAIN}}},
        {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": _PLAIN}}},
        {"metadata": {"annotations": _PLAIN}},
        {"kind": "Secret", "data": _PLAIN, "ref": "local//ConfigMap/default/x"},
        _PLAIN,
        [_PLAIN],
        {"metadata": {"generation": 10**30}},
        {"metadata": {"name": "\ud800"}},
    ],
)
async def test_whatever_a_record_holds_no_secret_is_shown_and_what_follows_is(odd: Any) -> None:
    log = MemoryLog()
    ref = odd.pop("ref", "local//Secret/default/x") if isinstance(odd, dict) else "local//Secret/default/x"
    head = {"schema": 1, "domain": "default", "cluster": "local", "source": "odd", "id": "x", "time": "", "actor": ""}
    value = {**head, "changes": [{"verb": "put", "ref": ref, "object": odd}]}
    async with log.writer("s") as writer:
        await writer.write([Outgoing(Topic.CHANGES, 0, b"default", json.dumps(value).encode())])
    await append(log, change_set(*_BASE), source="files")
    async with served(log) as client, client.get("/v1/changes?since=c.0") as response:
        found = [one[1] for one in await until_source(response, "files")]
    assert _PLAIN not in json.dumps(found)


async def until_source(response: aiohttp.ClientResponse, source: str) -> list[tuple[str, Any, str]]:
    found = await events(response, "changeset")
    while found[-1][1]["source"] != source:
        found += await events(response, "changeset")
    return found


class _Broken(MemoryLog):
    """Fails behind the first records that somebody follows."""

    async def follow(self, topic: Topic, partition: int, start: int = 0) -> AsyncIterator[list[Record]]:
        async for records in super().follow(topic, partition, start):
            yield records
            msg = "the log is gone"
            raise LogError(msg)


async def asked(server: Any, *lines: bytes) -> bytes:
    """All that is answered until the connection ends."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"\r\n".join([*lines, b"host: a", b"", b""]))
    found = b""
    async with asyncio.timeout(240):
        with contextlib.suppress(ConnectionError):
            while some := await reader.read(1 << 16):
                found += some
    writer.close()
    return found


async def test_what_fails_behind_the_first_frame_cuts_the_stream() -> None:
    log = _Broken()
    await resolved(log, _BASE)
    async with served(log) as client:
        found = await asked(client.server, b"GET /v1/updates?since=u.0 HTTP/1.1")
    assert found.count(b"HTTP/1.1") == 1
    assert b"event: update" in found
    # What is cut is not at its end.
    assert not found.endswith(b"0\r\n\r\n")


async def test_strange_requests_are_answered() -> None:
    async with served(MemoryLog(), "s3cret") as client:
        for given in (b"Bearer \xff", b"Bearer \xc3\xa4"):
            lines = [b"GET /v1/schemas HTTP/1.1", b"connection: close", b"authorization: " + given]
            assert (await asked(client.server, *lines)).startswith(b"HTTP/1.1 401 ")
        async with client.head("/v1/routes", headers={"authorization": "Bearer s3cret"}) as response:
            assert response.status == 405


async def test_a_token_of_another_log_is_gone() -> None:
    async with served(MemoryLog()) as client, client.get("/v1/updates?since=u.10") as response:
        assert response.status == 410
        assert "another log" in await response.text()


async def test_who_reads_slowly_but_reads_gets_a_large_frame_whole() -> None:
    log = MemoryLog()
    large = change_set(put("", "v1", "ConfigMap", "x", {"data": {"x": "y" * 5_000_000}}))
    async with log.writer("w") as writer:
        whole = encode_change_set(large)
        await writer.write(whole)
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    async with served(log, slow=1.0) as client:
        await asyncio.get_running_loop().run_in_executor(None, taken.connect, (client.server.host, client.server.port))
        reader, writer = await asyncio.open_connection(sock=taken, limit=1 << 14)
        writer.write(b"GET /v1/changes?since=c.0 HTTP/1.1\r\nhost: a\r\n\r\n")
        size, ends = 0, b""
        async with asyncio.timeout(240):
            while not ends.endswith(b"\n\n\r\n") or size < 5_000_000:
                some = await reader.read(1 << 14)
                assert some, f"let go of after {size} bytes"
                size, ends = size + len(some), (ends + some)[-4:]
                await asyncio.sleep(0.02)  # as slow as it is: some 0.8 MB a second
        writer.close()


async def test_a_large_snapshot_lets_others_get_their_turn_and_lets_go_of_its_rows() -> None:
    rows: dict[str, Record | None] = {f"odd/{at}": Record(Topic.GRAPH, 0, at, b"", b"{}", (), 0) for at in range(1000)}
    batch = Batch(rows, 0, snapshot=False)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while rows:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(other())
    left = [len(rows) async for _ in told(batch, Where())]
    await beside
    assert turns > 10
    assert left == list(range(999, -1, -1))


@asynccontextmanager
async def listened(log: MemoryLog, **more: float) -> AsyncIterator[str]:
    """As the command does it."""
    stopping = asyncio.Event()
    async with listening(application(Serving(log, 0, schemas(), **more), stopping), "127.0.0.1", 0) as address:
        yield address
        stopping.set()


async def test_who_went_away_leaves_his_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.sse.READERS", 2)
    async with listened(MemoryLog(), beat=600.0) as address, aiohttp.ClientSession() as session:
        url = f"http://{address}/v1/updates"
        for _ in range(2):
            here = [await session.get(url) for _ in range(2)]
            assert [one.status for one in here] == [200, 200]
            async with session.get(url) as refused:
                assert refused.status == 503
            for one in here:
                one.close()

            async def question() -> bool:
                async with session.get(url) as response:
                    return response.status == 200

            await until(question)


@pytest.mark.parametrize("number", [3, 12])
async def test_who_asks_for_nothing_shuts_nobody_out(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Of a few the time ends; of many the eldest make room, and no reader does."""
    monkeypatch.setattr("streams.listening.WAITING", 4)
    monkeypatch.setattr("streams.listening.ASKING_SECONDS", 0.5 if number == 3 else 600)
    async with listened(MemoryLog()) as address, aiohttp.ClientSession() as session:
        host, port = address.split(":")
        async with asyncio.timeout(60), session.get(f"http://{address}/v1/updates") as reader:
            idle = []
            for at in range(number):
                idle.append(await asyncio.open_connection(host, int(port)))
                idle[-1][1].write(b"GET /v1/routes HTT" if at % 2 else b"")
            assert await reader.content.readuntil(b"\n\n") == b"id: u.0\n\n"
            async with session.get(f"http://{address}/v1/schemas") as response:
                assert response.status == 200
            for one, _ in idle if number == 3 else idle[:-4]:
                with contextlib.suppress(ConnectionError):
                    assert await one.read() == b""
            assert not reader.content.at_eof()
        for _, writer in idle:
            writer.close()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--listen", "0.0.0.0:0"], "give --token-file"),
        (["--listen", "nothing"], "host:port"),
        (["--listen", "127.0.0.1:\N{SUPERSCRIPT TWO}"], "host:port"),
        (["--listen", "127.0.0.1:\N{ARABIC-INDIC DIGIT FIVE}"], "host:port"),
        (["--listen", "127.0.0.1:" + "1" * 5000], "host:port"),
        (["--token-file", "/proc/none"], "--token-file /proc/none"),
        (["--token-file", sys.executable], "is not UTF-8 text"),
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
