"""The examples of docs/examples with real parts: killed and started again, they lose and repeat nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.zone
import psycopg
import pytest
from aiohttp import web

from engine.events import Change
from streams.kafka import KafkaLog
from streams.topics import Topic
from tests.streams.test_client import _BASE, resolved, shop
from tests.streams.toy import append, kafka_log, marked, until
from tests.support.manifests import change_set, delete, service
from tests.support.postgresql import postgresql

_EXAMPLES = Path(__file__).parents[2] / "docs/examples"
pytestmark = pytest.mark.kafka


@asynccontextmanager
async def running(*words: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """An example in a process of its own, killed (SIGKILL) at the end."""
    process = await asyncio.create_subprocess_exec(sys.executable, *map(str, words), env=dict(os.environ))
    try:
        yield process
        assert process.returncode is None, "it ended by itself"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def so(question: Callable[[], Any]) -> None:
    async def asked() -> bool:
        return bool(question())

    await until(asked, 120)


async def say(log: KafkaLog, *sets: list[Change]) -> None:
    """These change sets one after another, resolved by whoever takes the domain then."""
    await append(log, *(change_set(*changes, number=number) for number, changes in enumerate(sets)), source="files")
    await marked(log, Topic.CHANGES)
    one = await resolved(log)
    await one.release()


async def test_a_zone_has_the_routed_hostnames_whatever_was_killed(broker: str, tmp_path: Path) -> None:
    file = tmp_path / "example.zone"

    def hosts() -> list[str]:
        if not file.exists():
            return []
        zone = dns.zone.from_file(str(file), origin="example.com", check_origin=False)
        return sorted(str(name) for name, _, _ in zone.iterate_rdatas("A"))

    async with kafka_log(broker) as log:
        words = (_EXAMPLES / "zone.py", f"{broker}/{log.prefix}", "example.com", file)
        await say(log, _BASE, [shop("pay-v1"), shop("pay-v1", "elsewhere.org", "other")])
        async with running(*words):
            await so(lambda: hosts() == ["shop"])
            await say(log, [shop("pay-v1", "b.example.com", "third")])
            await so(lambda: hosts() == ["b", "shop"])
        before = file.read_text()
        async with running(*words):
            await say(log, [delete(shop("pay-v1"))])
            await so(lambda: hosts() == ["b"])
        serials = [int(text.split("hostmaster.example.com. ")[1].split()[0]) for text in (before, file.read_text())]
        assert serials[1] == serials[0] + 1
        assert os.listdir(tmp_path) == ["example.zone"]  # noqa: PTH208  in an async function


async def test_an_audit_has_each_change_once_whenever_it_is_killed(broker: str) -> None:
    with postgresql() as conninfo:
        async with kafka_log(broker) as log:
            words = (_EXAMPLES / "audit.py", f"{broker}/{log.prefix}", conninfo)
            expected = 0
            for number in range(4):
                names = [f"s{number}-{one}" for one in range(15)]
                sets: list[list[Change]] = [[service(one)] for one in names]
                expected += len(sets)
                async with running(*words):
                    work = asyncio.ensure_future(say(log, *sets))
                    # Killed in the middle of what comes; the last one sees all.
                    enough = expected if number == 3 else expected - 10
                    await so(lambda enough=enough: len(_puts(conninfo)) >= enough)
                await work
            await say(log, _BASE, [shop("pay-v1")], [shop("pay-v2")])
            async with running(*words):
                await so(lambda: any("moved" in word for word in _words(conninfo)))
            found = _puts(conninfo)
            assert len(found) == len(set(found)) == expected
            assert found == sorted(found)


def _puts(conninfo: str) -> list[tuple[int, str]]:
    query = "SELECT log_offset, object FROM penstock_audit WHERE object LIKE '%//Service/default/s%' ORDER BY id"
    return _asked(conninfo, query)


def _words(conninfo: str) -> list[str]:
    return [word for (words,) in _asked(conninfo, "SELECT routing FROM penstock_audit") for word in words]


def _asked(conninfo: str, query: str) -> list[Any]:
    try:
        with psycopg.connect(conninfo) as connection:
            return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]
    except psycopg.errors.UndefinedTable:
        return []


async def test_a_chat_hears_of_each_change_of_a_route_at_least_once(broker: str, tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    failing = [True]

    async def receive(request: web.Request) -> web.Response:
        if failing.pop() if failing else False:
            return web.Response(status=503)
        heard.append((request.headers["idempotency-key"], (await request.json())["text"]))
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/hook", receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        async with kafka_log(broker) as log:
            file = tmp_path / "token"
            words = (_EXAMPLES / "alert.py", f"{broker}/{log.prefix}", "default", hook, file)
            await say(log, _BASE)
            async with running(*words):
                await so(file.exists)
            # Killed before its first update it misses none.
            async with running(*words):
                await say(log, [shop("pay-v1")])
                await so(lambda: len({key for key, _ in heard}) == 1)
            await say(log, [shop("pay-v2")], [delete(shop("pay-v2"))])
            async with running(*words):
                await so(lambda: len({key for key, _ in heard}) == 3)
    finally:
        await runner.cleanup()
    told = [text.split("\n")[1:] for _, text in dict(heard).items()]
    host = "host shop.example.com: /"
    assert told == [
        [f"{host} is new, goes to default/pay-v1:80"],
        [f"{host} moved from default/pay-v1:80 to default/pay-v2:80"],
        [f"{host} is gone, went to default/pay-v2:80"],
    ]


async def test_a_faust_agent_reads_updates(broker: str, tmp_path: Path) -> None:
    async with kafka_log(broker) as log:
        await say(log, _BASE, [shop("pay-v1")])
        out = tmp_path / "out"
        with out.open("wb") as file:
            process = await asyncio.create_subprocess_exec(  # its stream of updates, from their beginning
                sys.executable, "-m", "faust", "--datadir", str(tmp_path / "data"), "-A", "agent", "worker", "-l", "warn", "--without-web",
                cwd=_EXAMPLES, stdout=file, stderr=file,
                env={**os.environ, "BROKERS": f"{broker}/{log.prefix}", "PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
            try:
                await so(lambda: len([line for line in out.read_text().split("\n") if "{'" in line]) >= 3)
            finally:
                process.kill()
                await process.wait()
