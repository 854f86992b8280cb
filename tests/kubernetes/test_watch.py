"""The Kubernetes source appends what differs from the log and nothing else, whatever happens to the cluster or the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.engine import Engine
from engine.events import ChangeSet, Delete, Put, SyncBegin, SyncEnd
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.clock import now
from streams.codec import change_summary, decode_change_set, encode_update
from streams.memory import MemoryLog
from streams.sources.files import FilesOptions, watch_files
from streams.sources.kubernetes.source import KubernetesOptions, watch_cluster
from streams.topics import Topic
from tests.kubernetes.objects import config_map, endpoints, route, secret, service, tcp_route
from tests.kubernetes.stage import MemoryStage, Stage

_SEALER = Sealer(bytes(range(KEY_BYTES)))
_MANY = int(os.environ.get("KUBERNETES_OBJECTS", "1000"))
OPTIONS = KubernetesOptions("east", now, poll_seconds=0.1, limit=100)


@asynccontextmanager
async def watching(log: MemoryLog, stage: Stage, options: KubernetesOptions = OPTIONS) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(watch_cluster(log, _SEALER, stage.cluster, options))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def sets(log: MemoryLog) -> list[ChangeSet]:
    return [decode_change_set(one) async for batch in log.read(Topic.CHANGES, 0) for one in batch]


async def objects(log: MemoryLog, stage: Stage) -> dict[str, Any]:
    """`kind/name` of the test's objects in the log -> what tells its states apart."""
    there: dict[str, Any] = {}
    for change_set in await sets(log):
        for change in change_set.changes:
            if isinstance(change, Put | Delete) and change.ref.namespace == stage.namespace:
                name = f"{change.ref.kind}/{change.ref.name}"
                if isinstance(change, Put):
                    assert there.get(name) != dict(change.object), f"{name} is told twice"
                    there[name] = dict(change.object)
                else:
                    assert name in there or change.was_read, f"{name} is deleted and was not there"
                    there.pop(name, None)
    return there


async def until(stage: Stage, question: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(stage.seconds):
        while not await question():
            await asyncio.sleep(0.02)


async def has(log: MemoryLog, stage: Stage, *names: str) -> None:
    """The log comes to hold exactly these objects of the test's namespace, without one that every namespace has."""
    try:
        await until(stage, lambda: _is(log, stage, names))
    except TimeoutError:
        assert sorted(await objects(log, stage)) == sorted(names)


async def _is(log: MemoryLog, stage: Stage, names: tuple[str, ...]) -> bool:
    return sorted(await objects(log, stage)) == sorted(names)


async def value(log: MemoryLog, stage: Stage, name: str) -> str:
    found = (await objects(log, stage)).get(f"ConfigMap/{name}")
    return str(found["data"]["value"]) if found else ""


async def resolved(log: MemoryLog) -> None:
    """Fold the log into penstock.state, as the resolver does."""
    engine = Engine(_SEALER)
    async with log.writer("resolver") as writer:
        async for batch in log.read(Topic.CHANGES, 0):
            for record in batch:
                change_set = decode_change_set(record)
                update = engine.apply(change_set, record.offset)
                await writer.write(encode_update("default", 0, update, change_summary(change_set)))


async def test_the_first_listing_is_bracketed_and_the_next_run_appends_the_difference_only(stage: Stage) -> None:
    log = MemoryLog()
    await stage.put(service(stage.namespace, "a"))
    await stage.put(route(stage.namespace, "r", "a"))
    async with watching(log, stage):
        await has(log, stage, "Service/a", "HTTPRoute/r")
    first = await sets(log)
    assert {change_set.id for change_set in first} == {first[0].id}
    changes = [change for change_set in first for change in change_set.changes]
    assert (changes[0], changes[-1]) == (SyncBegin(), SyncEnd())
    assert (await objects(log, stage))["HTTPRoute/r"]["metadata"]["generation"] == 1
    for is_resolved in (False, True):
        if is_resolved:
            await resolved(log)
        there = len(await sets(log))
        await stage.put(service(stage.namespace, "b"))
        async with watching(log, stage):
            await has(log, stage, "Service/a", "Service/b", "HTTPRoute/r")
        await stage.delete(service(stage.namespace, "b"))
        async with watching(log, stage):
            await has(log, stage, "Service/a", "HTTPRoute/r")
        found = [type(change) for one in (await sets(log))[there:] for change in one.changes]
        assert found == [Put, Delete]


async def test_changes_are_told_with_their_manager(stage: Stage) -> None:
    log = MemoryLog()
    async with watching(log, stage):
        await has(log, stage)
        await until(stage, lambda: sets(log))
        await stage.put(config_map(stage.namespace, "a", "1"), "anna")
        await has(log, stage, "ConfigMap/a")
        await stage.put(config_map(stage.namespace, "a", "2"), "anna")
        await until(stage, lambda: _has_value(log, stage, "2"))
        await stage.delete(config_map(stage.namespace, "a", "2"))
        await has(log, stage)
    mine = [one for one in await sets(log) if any(_is_of(change, stage) for change in one.changes)]
    assert [one.actor.partition(" at 20")[0] for one in mine] == ["anna", "anna", ""]


def _is_of(change: object, stage: Stage) -> bool:
    return isinstance(change, Put | Delete) and change.ref.namespace == stage.namespace


async def _has_value(log: MemoryLog, stage: Stage, wanted: str, name: str = "a") -> bool:
    return await value(log, stage, name) == wanted


async def test_nothing_is_told_of_a_half_read_cluster(stage: Stage) -> None:
    log = MemoryLog()
    await stage.put(service(stage.namespace, "a"))
    await stage.cut()
    async with watching(log, stage):
        await asyncio.sleep(0)
        assert await sets(log) == []
        await stage.mend()
        await has(log, stage, "Service/a")


async def test_secrets_enter_only_as_they_are_asked_for_and_leave_when_they_are_not(stage: Stage) -> None:
    log, asked = MemoryLog(), asyncio.Queue[frozenset[Ref]]()
    mine = Ref("east", "", "Secret", stage.namespace, "mine")

    async def wanted() -> AsyncIterator[frozenset[Ref]]:
        while True:
            yield await asked.get()

    await stage.put(secret(stage.namespace, "mine", "swordfish"))
    await stage.put(secret(stage.namespace, "other", "swordfish"))
    await stage.put(config_map(stage.namespace, "a", "1"))
    async with watching(log, stage, replace(OPTIONS, wanted=wanted)):
        await has(log, stage, "ConfigMap/a")
        asked.put_nowait(frozenset({mine}))
        await has(log, stage, "ConfigMap/a", "Secret/mine")
        await stage.put(secret(stage.namespace, "mine", "herring"))
        await until(stage, lambda: _is_password(log, stage, b"herring"))
        asked.put_nowait(frozenset())
        await has(log, stage, "ConfigMap/a")
        asked.put_nowait(frozenset({mine}))
        await has(log, stage, "ConfigMap/a", "Secret/mine")
    records = [record.value or b"" async for batch in log.read(Topic.CHANGES, 0) for record in batch]
    assert not any(word in record for record in records for word in (b"swordfish", b"herring", b"c3dvcmRmaXNo"))


async def test_a_secret_that_is_asked_for_and_not_there_is_answered(stage: Stage) -> None:
    log, missing = MemoryLog(), Ref("east", "", "Secret", stage.namespace, "missing")

    async def wanted() -> AsyncIterator[frozenset[Ref]]:
        yield frozenset({missing})
        await asyncio.Event().wait()

    async def said() -> list[bool]:
        return [one.was_read for found in await sets(log) for one in found.changes if isinstance(one, Delete) and one.ref == missing]

    async def is_answered() -> bool:
        return await said() == [True]

    async with watching(log, stage, replace(OPTIONS, wanted=wanted)):
        await until(stage, is_answered)
        await stage.put(secret(stage.namespace, "missing", "swordfish"))
        await has(log, stage, "Secret/missing")
    assert await said() == [True]


async def _is_password(log: MemoryLog, stage: Stage, wanted: bytes) -> bool:
    return _SEALER.unseal_text((await objects(log, stage))["Secret/mine"]["data"]["password"]) == wanted


async def test_restarts_of_the_api_server_under_changes_lose_and_repeat_nothing(stage: Stage) -> None:
    log, count = MemoryLog(), 0
    await stage.put(route(stage.namespace, "r", "svc"))

    async def changes() -> None:
        nonlocal count
        while not over.is_set():
            count += 1
            await stage.put(config_map(stage.namespace, "a", str(count)))
            await stage.put(config_map(stage.namespace, f"b{count}", "x"))
            await asyncio.sleep(0.02)

    async with watching(log, stage):
        await has(log, stage, "HTTPRoute/r")
        over = asyncio.Event()
        writer = asyncio.create_task(changes())
        for _ in range(3):
            before = count
            await until(stage, lambda before=before: _is_true(count > before + 3))
            await stage.restart()
        over.set()
        await writer
        await stage.put(route(stage.namespace, "r", "other"))
        await until(stage, lambda: _is_named(log, stage, "other"))
        await has(log, stage, "ConfigMap/a", "HTTPRoute/r", *(f"ConfigMap/b{one + 1}" for one in range(count)))
        await until(stage, lambda: _has_value(log, stage, str(count)))
    deleted = [one.ref.name for found in await sets(log) for one in found.changes if isinstance(one, Delete)]
    assert "r" not in deleted, "a kind of a CRD is not gone while the API server starts"


async def _is_true(value: object) -> object:
    return value


async def _is_named(log: MemoryLog, stage: Stage, service_name: str) -> bool:
    return bool((await objects(log, stage))["HTTPRoute/r"]["spec"]["rules"][0]["backendRefs"][0]["name"] == service_name)


async def test_missed_history_is_made_good_by_a_new_listing(stage: Stage) -> None:
    """Away for so long that what it missed is compacted: what was deleted and created meanwhile is found."""
    log = MemoryLog()
    for name in ("stays", "goes", "changes"):
        await stage.put(config_map(stage.namespace, name, "1"))
    async with watching(log, stage):
        await has(log, stage, "ConfigMap/stays", "ConfigMap/goes", "ConfigMap/changes")
        there = len(await sets(log))
        await stage.cut()
        await stage.delete(config_map(stage.namespace, "goes", "1"))
        await stage.put(config_map(stage.namespace, "changes", "2"))
        await stage.put(config_map(stage.namespace, "comes", "1"))
        await stage.forget()
        await stage.mend()
        await has(log, stage, "ConfigMap/stays", "ConfigMap/changes", "ConfigMap/comes")
        assert await value(log, stage, "changes") == "2"
    mine = [one for one in (await sets(log))[there:] if any(_is_of(change, stage) for change in one.changes)]
    assert len(mine) == 1, "a listing is told as a whole"
    assert len(mine[0].changes) == 3


async def test_a_watch_that_expires_is_listed_again_and_goes_on(stage: Stage) -> None:
    log = MemoryLog()
    await stage.put(config_map(stage.namespace, "a", "1"))
    async with watching(log, stage):
        await has(log, stage, "ConfigMap/a")
        for number in range(2):
            await stage.forget()
            await stage.put(config_map(stage.namespace, "a", f"x{number}"))
            await until(stage, lambda wanted=f"x{number}": _has_value(log, stage, wanted))


async def test_many_objects_come_in_pages(stage: Stage) -> None:
    log = MemoryLog()
    for start in range(0, _MANY, 50):
        names = [f"m{number}" for number in range(start, min(start + 50, _MANY))]
        await asyncio.gather(*(stage.put(config_map(stage.namespace, name, "x")) for name in names))
    async with watching(log, stage):
        # Told as a whole: looked at once it is there, as to read all of it takes a second.
        await until(stage, lambda: _has_grown(log, 0))
        await has(log, stage, *(f"ConfigMap/m{number}" for number in range(_MANY)))
    assert len({one.id for one in await sets(log)}) == 1
    (_, before) = await log.ends(Topic.CHANGES, 0)
    async with watching(log, stage):
        await stage.put(config_map(stage.namespace, "new", "x"))
        await until(stage, lambda: _has_grown(log, before))
        assert await _has_value(log, stage, "x", "new")
    assert sum(len(one.changes) for one in (await sets(log))[-1:]) == 1


async def _has_grown(log: MemoryLog, end: int) -> bool:
    return (await log.ends(Topic.CHANGES, 0))[1] > end


async def test_a_kind_whose_crd_is_missing_is_waited_for(stage: Stage) -> None:
    log = MemoryLog()
    await stage.unserve()
    try:
        await stage.put(service(stage.namespace, "a"))
        async with watching(log, stage):
            await has(log, stage, "Service/a")
            await stage.serve()
            await stage.put(tcp_route(stage.namespace, "late", "a"))
            await has(log, stage, "Service/a", "TCPRoute/late")
            await stage.unserve()
            await has(log, stage, "Service/a")
            await stage.serve()
            await stage.put(tcp_route(stage.namespace, "later", "a"))
            await has(log, stage, "Service/a", "TCPRoute/later")
    finally:
        await stage.serve()


async def test_a_crd_that_went_while_nobody_watched_took_its_objects_along(stage: Stage) -> None:
    log = MemoryLog()
    await stage.put(tcp_route(stage.namespace, "a", "svc"))
    async with watching(log, stage):
        await has(log, stage, "TCPRoute/a")
    await stage.unserve()
    try:
        async with watching(log, stage):
            await has(log, stage)
    finally:
        await stage.serve()


async def test_written_service_first_no_state_of_the_log_lacks_it(stage: Stage) -> None:
    log = MemoryLog()
    async with watching(log, stage):
        await until(stage, lambda: sets(log))
        for number in range(20):
            name = f"s{number}"
            await stage.put(service(stage.namespace, name))
            await stage.put(endpoints(stage.namespace, name, "10.0.0.1"))
            await stage.put(route(stage.namespace, f"r{number}", name))
        kinds = ("Service/s{}", "EndpointSlice/s{}-1", "HTTPRoute/r{}")
        await has(log, stage, *(kind.format(number) for kind in kinds for number in range(20)))
    there: set[str] = set()
    for change_set in await sets(log):
        there |= {change.ref.name for change in change_set.changes if isinstance(change, Put)}
        for name in [one for one in there if one.startswith("r")]:
            assert {f"s{name[1:]}", f"s{name[1:]}-1"} <= there


async def _turned_away(log: MemoryLog) -> bool:
    return log.turned_away > 0


async def test_a_log_that_was_away_is_brought_up_to_date(stage: Stage) -> None:
    log = MemoryLog()
    async with watching(log, stage):
        await until(stage, lambda: sets(log))
        log.down = True
        await stage.put(config_map(stage.namespace, "a", "1"))
        await until(stage, lambda: _turned_away(log))
        await log.resume()
        await has(log, stage, "ConfigMap/a")


async def test_a_status_that_is_no_input_appends_nothing() -> None:
    stage, log = MemoryStage(), MemoryLog()
    one = route(stage.namespace, "r", "svc")
    await stage.put(one)
    async with watching(log, stage):
        await has(log, stage, "HTTPRoute/r")
        end = await log.ends(Topic.CHANGES, 0)
        await stage.put({**one, "status": {"parents": []}}, "controller")
        await stage.twin.bookmark()
        await stage.put(config_map(stage.namespace, "a", "1"))
        await has(log, stage, "HTTPRoute/r", "ConfigMap/a")
        assert await log.ends(Topic.CHANGES, 0) == (0, end[1] + 2), "one change set and its marker"


async def test_a_cluster_of_manifests_becomes_one_of_kubernetes(tmp_path: Path) -> None:
    """What the other source said, and nobody has resolved yet, is known too."""
    stage, log = MemoryStage(), MemoryLog()
    manifests = [config_map(stage.namespace, name, "1") for name in ("both", "old")]
    (tmp_path / "all.json").write_text("".join(map(json.dumps, manifests)))
    task = asyncio.create_task(watch_files(log, _SEALER, FilesOptions("east", tmp_path, now)))
    await has(log, stage, "ConfigMap/both", "ConfigMap/old")
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await stage.put(config_map(stage.namespace, "both", "2"))
    async with watching(log, stage):
        await has(log, stage, "ConfigMap/both")
    assert (await sets(log))[-1].source == "kubernetes"
    assert await value(log, stage, "both") == "2"
