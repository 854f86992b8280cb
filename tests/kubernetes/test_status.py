"""Statuses as a real API server shows them: what is written, by whom, and how often."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from engine.ref import parse_ref
from streams.kubernetes.cluster import Target, Verb
from streams.topics import Topic
from streams.view import read_table
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.objects import GATEWAY_API, endpoints, route, secret, service
from tests.kubernetes.plane import CONTROLLER, Plane
from tests.kubernetes.stage import real_stage
from tests.support.certificate import pair

pytestmark = pytest.mark.kubernetes
_MANY = int(os.environ.get("KUBERNETES_ROUTES", "200"))


@pytest.fixture
async def plane(api_server: ApiServerProcess) -> AsyncIterator[Plane]:
    async with real_stage(api_server) as stage:
        yield Plane(stage)


def gateway(namespace: str, name: str = "gw") -> dict[str, Any]:
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    return {
        "apiVersion": f"{GATEWAY_API}/v1",
        "kind": "Gateway",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"gatewayClassName": "penstock", "listeners": [listener]},
    }


async def status(plane: Plane, object_: dict[str, Any]) -> dict[str, Any]:
    found = await plane.stage.api.get(object_)
    answer: dict[str, Any] = found.get("status") or {}
    return answer


async def shows(plane: Plane, object_: dict[str, Any], **conditions: str) -> dict[str, Any]:
    """The status once it has these conditions, of the current generation, wherever in it they stand."""
    async with asyncio.timeout(plane.stage.seconds):
        while True:
            whole = await plane.stage.api.get(object_)
            found: dict[str, Any] = whole.get("status") or {}
            of = found.get("parents") or [found]
            ours = [one for one in of if one.get("controllerName", CONTROLLER) == CONTROLLER]
            said = {
                one["type"]: one["status"]
                for part in ours
                for one in part.get("conditions") or ()
                if one.get("observedGeneration") == whole["metadata"]["generation"]
            }
            if conditions.items() <= said.items():
                return found
            await asyncio.sleep(0.05)


async def settled(plane: Plane) -> int:
    """How many writes there were, once what was put is resolved, the writer knows it all, and writes no more for a second."""
    await plane.passed()
    async with asyncio.timeout(plane.stage.seconds):
        before = -1
        while plane.status_writer.health.waiting() or plane.cluster.flying or len(plane.cluster.applied) != before:
            before = len(plane.cluster.applied)
            await asyncio.sleep(1.0)
    return before


async def test_programmed_after_acknowledgement(plane: Plane) -> None:
    space = plane.stage.namespace
    async with plane.up():
        for one in (service(space, "a"), endpoints(space, "a", "10.0.0.1"), gateway(space), route(space, "r", "a")):
            await plane.stage.put(one)
        await shows(plane, route(space, "r"), Accepted="True", ResolvedRefs="True")
        found = await shows(plane, gateway(space), Accepted="True", Programmed="False")
        assert found["listeners"][0]["attachedRoutes"] == 1
        since = {one["type"]: one["lastTransitionTime"] for one in found["conditions"]}
        await plane.acknowledge("gw", 1_000_000)
        found = await shows(plane, gateway(space), Accepted="True", Programmed="True")
        assert {one["type"]: one["lastTransitionTime"] for one in found["conditions"]}["Accepted"] == since["Accepted"]


async def test_nothing_is_written_twice_nor_by_a_new_writer(plane: Plane) -> None:
    space = plane.stage.namespace
    async with plane.watching(), plane.resolving():
        async with plane.writing():
            await plane.stage.put(gateway(space))
            await shows(plane, gateway(space), Accepted="True")
            written = await settled(plane)
            await plane.stage.put({**gateway(space), "metadata": {**gateway(space)["metadata"], "labels": {"a": "b"}}})
            assert await settled(plane) == written
        async with plane.writing():
            assert await settled(plane) == written


async def test_other_controllers_entries_stay_whoever_writes_last(plane: Plane) -> None:
    space = plane.stage.namespace
    other = {
        "parentRef": {"name": "theirs"},
        "controllerName": "example.com/other",
        "conditions": [
            {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        ],
    }
    async with plane.up():
        await plane.stage.put(gateway(space))
        await plane.stage.put(route(space, "r", "a"))
        ours = (await shows(plane, route(space, "r"), Accepted="True"))["parents"]
        await plane.stage.api.replace_status(route(space, "r"), {"parents": [other, *ours]})
        await plane.stage.put(service(space, "a"))
        found = await shows(plane, route(space, "r"), Accepted="True", ResolvedRefs="True")
        assert [one["controllerName"] for one in found["parents"]] == ["example.com/other", CONTROLLER]
        # They overwrite ours: it comes back, and theirs stays.
        await plane.stage.api.replace_status(route(space, "r"), {"parents": [other]})
        found = await shows(plane, route(space, "r"), ResolvedRefs="True")
        assert len(found["parents"]) == 2
        await plane.stage.delete(gateway(space))
        async with asyncio.timeout(plane.stage.seconds):
            while len((await status(plane, route(space, "r")))["parents"]) > 1:
                await asyncio.sleep(0.05)
        (left,) = (await status(plane, route(space, "r")))["parents"]
        assert left["controllerName"] == "example.com/other"


async def test_a_storm_of_conflicts_ends_with_everybodys_entries(plane: Plane) -> None:
    space = plane.stage.namespace
    names = [f"example.com/other-{number}" for number in range(5)]

    async def they(name: str) -> None:
        for turn in range(10):
            entry = {
                "parentRef": {"name": "theirs"},
                "controllerName": name,
                "conditions": [
                    {"type": "Accepted", "status": "True", "reason": f"Turn{turn}", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
                ],
            }
            while not await plane.stage.api.edit_status(route(space, "r"), "parents", entry):
                pass

    async with plane.up():
        await plane.stage.put(gateway(space))
        await plane.stage.put(route(space, "r", "a"))
        storm = asyncio.gather(*(they(one) for one in names))
        await plane.stage.put(service(space, "a"))
        await storm
        found = await shows(plane, route(space, "r"), ResolvedRefs="True")
        assert sorted(one["controllerName"] for one in found["parents"]) == sorted([*names, CONTROLLER])


async def test_many_routes_attached_at_once_are_few_writes_of_the_gateway(plane: Plane) -> None:
    space = plane.stage.namespace
    async with plane.up():
        await plane.stage.put(service(space, "a"))
        await plane.stage.put(gateway(space))
        await shows(plane, gateway(space), Accepted="True")
        await settled(plane)
        before = len(plane.cluster.applied)
        async with heard(plane, gateway(space)) as versions:
            await asyncio.gather(*(plane.stage.put(route(space, f"r{number}", "a")) for number in range(_MANY)))
            await attached(plane, _MANY)
            await settled(plane)
            assert 1 <= len(versions) <= 15, "of the Gateway, as the API server shows it to others"
        applied = Counter(plane.cluster.applied[before:])
        assert applied["Gateway", "gw"] == len(versions)
        assert {applied["HTTPRoute", f"r{number}"] for number in range(_MANY)} == {1}
        async with heard(plane, gateway(space)) as versions:
            await asyncio.gather(*(plane.stage.delete(route(space, f"r{number}")) for number in range(_MANY)))
            await attached(plane, 0)
            assert 1 <= len(versions) <= 15


async def attached(plane: Plane, number: int) -> None:
    """Wait until so many routes are attached to the test's Gateway."""
    async with asyncio.timeout(plane.stage.seconds):
        while (await status(plane, gateway(plane.stage.namespace)))["listeners"][0]["attachedRoutes"] != number:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def heard(plane: Plane, object_: dict[str, Any]) -> AsyncIterator[list[str]]:
    """The versions of a Gateway that somebody sees who watches it while inside."""
    metadata = object_["metadata"]
    target = Target(GATEWAY_API, "Gateway", "gateways", "v1", metadata["namespace"], metadata["name"])
    page = await plane.stage.cluster.page(target, "", 0)
    versions: list[str] = []

    async def follow() -> None:
        async for event in plane.stage.cluster.watch(target, page.version):
            if event.verb is Verb.MODIFIED:
                versions.append(str(event.object["metadata"]["resourceVersion"]))  # noqa: PERF401  seen as they come

    task = asyncio.create_task(follow())
    try:
        yield versions
        assert not task.done(), "the watch ended"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_route_that_leaves_costs_one_write(plane: Plane) -> None:
    """An entry taken away leaves an empty list: a status without it no API server takes."""
    space = plane.stage.namespace
    async with plane.up():
        await plane.stage.put(gateway(space))
        await plane.stage.put(route(space, "r", "a"))
        await shows(plane, route(space, "r"), Accepted="True", ResolvedRefs="False")
        await settled(plane)
        before = plane.cluster.applied.count(("HTTPRoute", "r"))
        left = route(space, "r", "a")
        await plane.stage.put({**left, "spec": {**left["spec"], "parentRefs": [{"name": "other"}]}})
        async with asyncio.timeout(plane.stage.seconds):
            while (await status(plane, left))["parents"]:
                await asyncio.sleep(0.05)
        await settled(plane)
        assert plane.cluster.refused == []
        assert plane.cluster.applied.count(("HTTPRoute", "r")) == before + 1


async def test_what_changed_while_nobody_wrote_is_written_by_the_next_one(plane: Plane) -> None:
    space = plane.stage.namespace
    async with plane.watching(), plane.resolving():
        async with plane.writing():
            await plane.stage.put(gateway(space))
            await plane.stage.put(route(space, "r", "a"))
            await shows(plane, route(space, "r"), Accepted="True", ResolvedRefs="False")
        await plane.stage.put({**route(space, "r", "a"), "spec": {**route(space, "r", "a")["spec"], "parentRefs": [{"name": "other"}]}})
        async with plane.writing():
            async with asyncio.timeout(plane.stage.seconds):
                while (await status(plane, route(space, "r")))["parents"]:
                    await asyncio.sleep(0.05)


async def test_an_api_server_that_restarts_gets_the_status_that_it_missed(plane: Plane) -> None:
    space = plane.stage.namespace
    async with plane.up():
        await plane.stage.put(gateway(space))
        await shows(plane, gateway(space), Accepted="True", Programmed="False")
        await plane.stage.cut()
        await plane.acknowledge("gw", 1_000_000)
        await plane.stage.mend()
        await shows(plane, gateway(space), Programmed="True")
        await plane.stage.restart()
        await plane.stage.put(route(space, "r", "a"))
        await shows(plane, route(space, "r"), Accepted="True")


async def test_secrets_are_read_when_a_listener_names_them_and_no_others(plane: Plane) -> None:
    space = plane.stage.namespace
    https = gateway(space)
    tls = {"certificateRefs": [{"group": "", "kind": "Secret", "name": "cert"}]}
    https["spec"]["listeners"] = [{"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls}]
    certificate, key = pair(ec.generate_private_key(ec.SECP256R1()))
    data = {"tls.crt": b64encode(certificate).decode(), "tls.key": b64encode(key).decode()}
    async with plane.up():
        await plane.stage.put(secret(space, "other", "a"))
        await plane.stage.put({**secret(space, "cert", ""), "type": "kubernetes.io/tls", "data": data})
        await plane.stage.put(https)
        await plane.acknowledge("gw", 1_000_000)
        await shows(plane, https, Accepted="True", Programmed="True")
        assert await secrets(plane) == {"cert"}
        await plane.stage.put(gateway(space))
        async with asyncio.timeout(plane.stage.seconds):
            while await secrets(plane):
                await asyncio.sleep(0.05)


async def secrets(plane: Plane) -> set[str]:
    """The Secrets of the test's namespace that are in the log."""
    rows = (await read_table(plane.log, Topic.STATE, 0, "resource/")).rows
    refs = [parse_ref(name.removeprefix("resource/")) for name in rows]
    return {ref.name for ref in refs if (ref.kind, ref.namespace) == ("Secret", plane.stage.namespace)}
