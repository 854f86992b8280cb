"""The log alone says everything: folded anew elsewhere it gives what is live, and what Envoy says it runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from engine.seal import Sealer
from engine.update import parse_fragment_key
from streams.broker import Broker
from streams.codec import decode_fragment
from streams.kafka import KafkaLog
from streams.ports import Outgoing, Record
from streams.topics import Topic, topic_name
from streams.view import Table, read_table
from streams.xds.assembly import Assembly
from streams.xds.messages import ORDER
from tests.e2e import dumped, world
from tests.e2e.site import Site, offsets, route
from tests.support.running import pid_of, until

TABLES = (Topic.XDS, Topic.STATUS, Topic.GRAPH, Topic.INFRA, Topic.STATE)


async def records(log: KafkaLog, topic: Topic) -> list[Record]:
    return [one async for batch in log.read(topic, 0) for one in batch]


def transactions(found: Sequence[Record]) -> Iterator[list[Record]]:
    """Records that were written together: behind each transaction its marker takes an offset."""
    group: list[Record] = []
    for one in found:
        if group and one.offset != group[-1].offset + 1:
            yield group
            group = []
        group.append(one)
    yield group


async def copy(log: KafkaLog, elsewhere: KafkaLog) -> None:
    """The records of penstock.changes and nothing else, each at its offset."""
    async with elsewhere.writer("copy") as writer:
        at = 0
        for group in transactions(await records(log, Topic.CHANGES)):
            if group[0].offset > at:
                await _skip(elsewhere, group[0].offset - at)
            written = await writer.write([Outgoing(one.topic, 0, one.key, one.value, one.headers) for one in group])
            assert written == [one.offset for one in group]
            at = group[-1].offset + 2


async def _skip(log: KafkaLog, count: int) -> None:
    """Take offsets with a transaction that is given up, as one that a killed writer left."""
    assert count > 1
    async with AIOKafkaProducer(bootstrap_servers=log.brokers, transactional_id="skip") as producer:
        await producer.begin_transaction()
        for _ in range(count - 1):
            await producer.send_and_wait(topic_name(Topic.CHANGES, log.prefix), b"given up", partition=0)
        await producer.abort_transaction()


@contextmanager
def resolving(site: Site, broker: str, seed: int) -> Iterator[None]:
    """A resolver of its own on another broker."""
    settings = {
        "PENSTOCK_BROKERS": broker,
        "PENSTOCK_DATA": str(site.root / "elsewhere"),
        "PENSTOCK_SEALING_KEY": str(site.data / "keys" / "sealing.key"),
        "PYTHONHASHSEED": str(seed),
    }
    with (site.root / "resolver.log").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "resolve"], stdout=out, stderr=out, env={**os.environ, **settings}
        )
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(20) == 0


async def tables(log: KafkaLog) -> dict[Topic, Table]:
    return {topic: await read_table(log, topic, 0) for topic in TABLES}


def rows(table: Table, *, whole: bool) -> dict[str, Any]:
    """Key -> value and headers; without where a row stands in the log unless `whole`."""
    placed = () if whole else ("offset", "index")
    return {key: (row.value, [one for one in row.headers if one[0] not in placed]) for key, row in table.rows.items()}


def settled(site: Site) -> int:
    """Wait until everything is resolved and taken by every proxy; the offset."""

    def is_settled() -> bool:
        found = site.tells("status")
        taken = [one for one in found["proxies"] if one["connected"] and not one["behind"]]
        return not found["log"]["behind"] and len(taken) == 2

    until(is_settled, 60, lambda: site.printed)
    return offsets(site)[1]


async def replayed(site: Site, broker: Broker, progress: int) -> dict[Topic, Table]:
    """The tables that a resolver on an empty broker comes to from the changes alone."""
    live = KafkaLog(Broker(site.data / "broker").address())
    elsewhere = KafkaLog(await broker.start())
    try:
        await elsewhere.create_topics(1)
        await copy(live, elsewhere)
        with resolving(site, elsewhere.brokers, 4242):
            async with asyncio.timeout(240):
                while (await read_table(elsewhere, Topic.STATUS, 0)).progress < progress:
                    await asyncio.sleep(0.1)
            return await tables(elsewhere)
    finally:
        await broker.stop()


def assembled(site: Site, table: Table) -> dict[str, Assembly]:
    """What the fragments of a table make, by gateway."""
    sealer = Sealer((site.data / "keys" / "sealing.key").read_bytes())
    found: dict[str, Assembly] = {}
    for name, row in table.rows.items():
        key = parse_fragment_key(name)
        found.setdefault(key.gateway.name, Assembly(sealer)).apply({key: decode_fragment(row)}, 1)
    return found


def test_the_log_alone_gives_what_is_live_and_what_envoy_runs(site: Site, tmp_path: Path) -> None:
    world.populate(site)
    site.start(env={"PYTHONHASHSEED": "1"})
    site.serves("one")
    for number in range(6):
        site.write("route.yaml", route(f"edit-{number}"))
        site.write(f"more-{number}.yaml", route("more", f"/more-{number}", f"more-{number}"))
        site.serves(f"edit-{number}")
    (site.manifests / "more-3.yaml").unlink()
    os.kill(pid_of(site.data, r"cli resolve( |$)"), 9)
    site.write("route.yaml", route("last"))
    site.serves("last")
    progress = settled(site)
    live = asyncio.run(tables(KafkaLog(Broker(site.data / "broker").address())))
    dumps = {name: site.tells("dump", name) for name in ("gw", "tls")}
    again = asyncio.run(replayed(site, Broker(tmp_path / "empty"), progress))
    for topic in TABLES:
        assert rows(again[topic], whole=True) == rows(live[topic], whole=True), topic
        assert len(live[topic].rows) > 1
    seen = set()
    for name, assembly in assembled(site, again[Topic.XDS]).items():
        dump = dumps.pop(name)
        bodies, versions = dumped.runs(dump)
        assert versions == dumped.wanted(assembly)[1]
        assert bodies == dumped.wanted(assembly)[0]
        for old, new in (('"5s"', '"6s"'), ('"kube_default_be_80"', '"x"'), ("127.0.0.1", "127.0.0.9")):
            # The comparison itself sees such things, wherever they stand.
            assert dumped.runs(json.loads(json.dumps(dump).replace(old, new)))[0] != bodies
        seen |= {kind for kind, _ in bodies}
    assert (seen, dumps) == (set(ORDER), {})
    site.ends()
