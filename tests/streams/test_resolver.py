"""The real resolver on the real Kafka, on both hosts: killed, stopped, woken, and every time as a clean replay says."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import GroupCoordinatorNotAvailableError

from engine.engine import VERSION, Engine
from engine.events import ChangeSet, Delete, Put
from engine.ref import Ref
from streams.clock import now
from streams.codec import decode_change_set, decode_fragment, dumps, encode_change_set
from streams.kafka import KafkaLog
from streams.topics import Topic
from streams.view import read_table
from tests.streams.resolver_process import SEALER
from tests.streams.toy import append, kafka_log, records, until

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).parents[2]
GROUP = "gateway.networking.k8s.io"
HOSTS = pytest.mark.parametrize("host", ["faust", "group"])


def resource(kind: str, name: str, generation: int, spec: dict[str, Any]) -> Put:
    stamps = {"generation": generation, "creationTimestamp": "2026-11-24T12:00:00Z", "uid": name}
    object_ = {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", **stamps},
        "spec": spec,
    }
    return Put(Ref("local", GROUP, kind, "default", name), object_)


def gateway() -> Put:
    listener = {"name": "http", "port": 8080, "protocol": "HTTP"}
    return resource("Gateway", "gw", 1, {"gatewayClassName": "penstock", "listeners": [listener]})


def route(name: str, generation: int) -> Put:
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{generation}"}}],
        "backendRefs": [{"name": "absent", "port": 80, "weight": generation % 5}],
    }
    spec = {"parentRefs": [{"name": "gw"}], "hostnames": [f"{name}.example.com"], "rules": [rule]}
    return resource("HTTPRoute", name, generation, spec)


class Load:
    """Change sets, some with garbage between them, until told to stop."""

    def __init__(self, log: KafkaLog) -> None:
        self._log = log
        self.going = True

    async def run(self) -> None:
        changes = itertools.chain(
            [(gateway(),)],
            (
                (Delete(route(f"r{number % 7}", 1).ref),)
                if number % 11 == 10
                else (route(f"r{number % 7}", number + 1),)
                for number in itertools.count()
            ),
        )
        async with self._log.writer("source-test") as writer:
            for number, some in enumerate(changes):
                if not self.going:
                    return
                one = ChangeSet("default", "local", "test", str(number), now(), "me", some)
                batch = encode_change_set(one)
                if number % 50 == 49:
                    batch.append(batch[0]._replace(value=b"garbage"))
                await writer.write(batch)
                await asyncio.sleep(0.01)


@asynccontextmanager
async def load(log: KafkaLog) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        one = Load(log)
        tasks.create_task(one.run())
        yield
        one.going = False


@asynccontextmanager
async def resolver(
    log: KafkaLog, host: str, member: str, directory: Path, *more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.streams.resolver_process",
        *(log.brokers, log.prefix, host, member, str(directory), *more),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ready(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(240):
        assert await process.stdout.readline() == b"ready\n"


async def progress(log: KafkaLog) -> int:
    return (await read_table(log, Topic.GRAPH, 0)).progress


async def moves(log: KafkaLog) -> None:
    """Wait until what is there now has been resolved."""
    last = (await records(log, Topic.CHANGES))[-1].offset

    async def question() -> bool:
        return await progress(log) >= last

    await until(question)


async def is_a_clean_replay(log: KafkaLog) -> None:
    """Every output is what a fold of the log alone gives, and each offset was written once, in order."""
    engine = Engine(SEALER)
    rejected = {int(row.header("offset")) for row in await records(log, Topic.REJECTED)}
    applied = []
    for row in await records(log, Topic.CHANGES):
        if row.offset not in rejected:
            engine.apply(decode_change_set(row), row.offset)
            applied.append(row.offset)
    wanted = engine.everything()
    found = (await read_table(log, Topic.XDS, 0)).rows
    assert {key: decode_fragment(row) for key, row in found.items()} == dict(wanted.fragments.set)
    for topic, delta in (
        (Topic.GRAPH, wanted.nodes),
        (Topic.STATUS, wanted.statuses),
        (Topic.INFRA, wanted.infra),
        (Topic.STATE, wanted.state),
    ):
        rows = (await read_table(log, topic, 0)).rows
        assert {key: row.value for key, row in rows.items()} == {key: dumps(value) for key, value in delta.set.items()}
    updates = [orjson.loads(row.value or b"") for row in await records(log, Topic.UPDATES) if row.key == b"default"]
    said = [one["offset"] for one in updates if one["changes"] != [{"verb": "reconcile"}]]
    assert said == applied
    assert len(rejected) == len(await records(log, Topic.REJECTED)) > 0
    assert {one["engine"] for one in updates} == {VERSION}


@HOSTS
async def test_killed_under_load_it_comes_to_what_a_clean_replay_gives(broker: str, tmp_path: Path, host: str) -> None:
    async with kafka_log(broker) as log:
        async with load(log):
            for _ in range(3):
                async with resolver(log, host, "a", tmp_path) as process:
                    await ready(process)
                    await moves(log)
                    process.kill()
                    await process.wait()
            await asyncio.sleep(0)
        async with resolver(log, host, "a", tmp_path) as process:
            await ready(process)
            await moves(log)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(240):
                assert await process.wait() == 0
        await is_a_clean_replay(log)


async def _two_owners(broker: str, directory: Path, host: str) -> None:
    async with kafka_log(broker) as log:
        async with load(log), resolver(log, host, "a", directory) as first:
            await ready(first)
            await moves(log)
            async with resolver(log, host, "b", directory) as second:
                await moves(log)
                os.kill(first.pid, signal.SIGSTOP)
                try:
                    await moves(log)  # by the second, once the first's session is over
                finally:
                    os.kill(first.pid, signal.SIGCONT)
                await moves(log)  # the zombie is fenced; one of them goes on
                second.kill()
                await second.wait()
                await moves(log)
        async with resolver(log, host, "a", directory) as last:
            await ready(last)
            await moves(log)
        await is_a_clean_replay(log)


async def test_a_domain_moves_between_two_and_the_zombie_is_fenced(broker: str, tmp_path: Path) -> None:
    # Both hosts at once: the time goes by waiting for sessions to end.
    async with asyncio.TaskGroup() as tasks:
        for host in ("faust", "group"):
            tasks.create_task(_two_owners(broker, tmp_path / host, host))


async def _members(admin: AIOKafkaAdminClient, group: str) -> dict[str, bool]:
    """Who is in a group, and whether it has the partition; nobody while it is not settled."""
    await asyncio.sleep(0.2)
    try:
        (answer,) = await admin.describe_consumer_groups([group])
    except GroupCoordinatorNotAvailableError:
        # Until the broker has made the topic of its groups.
        return {}
    (_, _, state, _, _, members, *_) = answer.groups[0]
    if state != "Stable":
        return {}
    assigned = {member: ConsumerProtocol.ASSIGNMENT.decode(words).partitions() for member, _, _, _, words in members}
    # A static member's id begins with its name.
    return {member[0]: bool(partitions) for member, partitions in assigned.items()}


async def _owner(log: KafkaLog) -> str:
    """Who of two has the partition, once both are in the group."""
    group, admin = f"{log.prefix}-resolver-default", AIOKafkaAdminClient(bootstrap_servers=log.brokers)
    await admin.start()
    try:
        async with asyncio.timeout(240):
            while sorted((found := await _members(admin, group)).values()) != [False, True]:
                pass
    finally:
        await admin.close()
    return next(name for name, owns in found.items() if owns)


async def _of_two(broker: str, directory: Path, host: str) -> None:
    async with kafka_log(broker) as log:
        await append(log, ChangeSet("default", "local", "test", "1", now(), "me", (gateway(),)))
        async with resolver(log, host, "a", directory, "idle") as a, resolver(log, host, "b", directory, "idle") as b:
            owner = {"a": a, "b": b}[await _owner(log)]
            await moves(log)
            owner.kill()
            await owner.wait()
            await append(log, ChangeSet("default", "local", "test", "2", now(), "me", (route("r", 1),)))
            await moves(log)


async def test_who_has_stood_by_for_long_takes_over(broker: str, tmp_path: Path) -> None:
    """A client that fetches nothing, as nothing is its own, left its group after a minute: nobody took over."""
    async with asyncio.TaskGroup() as tasks:
        for host in ("faust", "group"):
            tasks.create_task(_of_two(broker, tmp_path / host, host))


@HOSTS
async def test_a_deadline_brings_a_tick(broker: str, tmp_path: Path, host: str) -> None:
    """Time enters the log when the engine asks for it: here, the end of a certificate."""
    from datetime import UTC, datetime, timedelta

    from tests.streams.certificate import secret

    async with kafka_log(broker) as log, resolver(log, host, "a", tmp_path) as process:
        await ready(process)
        expires = datetime.now(UTC) + timedelta(seconds=20)
        listener = {
            "name": "https",
            "port": 8443,
            "protocol": "HTTPS",
            "tls": {"certificateRefs": [{"name": "cert"}]},
        }
        tls = resource("Gateway", "gw", 1, {"gatewayClassName": "penstock", "listeners": [listener]})
        async with log.writer("s") as writer:
            one = ChangeSet("default", "local", "test", "1", now(), "me", (tls, secret(SEALER, "cert", expires)))
            await writer.write(encode_change_set(one))

        async def expired() -> bool:
            rows = (await read_table(log, Topic.STATUS, 0)).rows
            return b"expired at" in (rows[str(tls.ref)].value or b"") if str(tls.ref) in rows else False

        await until(expired)
        said = [row.value or b"" for row in await records(log, Topic.STATUS) if str(tls.ref).encode() in (row.key or b"")]
        assert [b"expired at" in one for one in (said[0], said[-1])] == [False, True]
        last = orjson.loads((await records(log, Topic.CHANGES))[-1].value or b"")
        assert last["changes"] == [{"verb": "tick"}]
