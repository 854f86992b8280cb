"""Objects of other controllers beside ours on a real API server: counted, they cost nothing behind the log."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streams.topics import OUTPUTS, PROGRESS, Topic
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.objects import endpoints, route, service
from tests.kubernetes.plane import Plane
from tests.kubernetes.stage import real_stage
from tests.kubernetes.test_status import gateway, settled, shows

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]
_MANY = int(os.environ.get("KUBERNETES_FOREIGN", "300"))
_EDITS = 20
_AT_ONCE = 50
_RERUNS = 3
"""Of an edit of a route that is another's: it is asked whose its parent is."""


@pytest.fixture
async def plane(api_server: ApiServerProcess) -> AsyncIterator[Plane]:
    async with real_stage(api_server) as stage:
        yield Plane(stage)


def theirs(namespace: str, number: int, path: str = "/") -> dict[str, Any]:
    """A route of another controller's Gateway."""
    found = route(namespace, f"f{number}", "a", path=path)
    found["spec"]["parentRefs"][0]["name"] = "theirs"
    return found


async def written(plane: Plane) -> dict[Topic, int]:
    """How many records of rows there are in each topic."""
    found: dict[Topic, int] = {}
    for topic in (Topic.CHANGES, *OUTPUTS):
        keys = [record.key or b"" async for batch in plane.log.read(topic, 0) for record in batch]
        found[topic] = sum(PROGRESS.encode() not in key and b"/~" not in key for key in keys)
    return found


async def at_once(plane: Plane, works: list[Any]) -> None:
    for first in range(0, len(works), _AT_ONCE):
        await asyncio.gather(*works[first : first + _AT_ONCE])


async def test_routes_of_another_class_cost_nothing_behind_the_log(plane: Plane) -> None:
    space, api = plane.stage.namespace, plane.stage.api
    entry = {
        "parentRef": {"name": "theirs"},
        "controllerName": "example.com/other",
        "conditions": [
            {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        ],
    }
    other = gateway(space, "theirs")
    other["spec"]["gatewayClassName"] = "theirs"
    await at_once(plane, [plane.stage.put(theirs(space, number)) for number in range(_MANY)])
    for one in (other, service(space, "a"), endpoints(space, "a", "10.0.0.1"), gateway(space), route(space, "r", "a")):
        await plane.stage.put(one)
    async with plane.up():
        await shows(plane, route(space, "r"), Accepted="True", ResolvedRefs="True")
        await settled(plane)
        writes, before = len(plane.cluster.applied), await written(plane)
        assert not [name for kind, name in plane.cluster.applied if name == "theirs" or (kind == "HTTPRoute" and name != "r")]

        # Their controller writes all their statuses: not even the log hears of it.
        await at_once(plane, [api.replace_status(theirs(space, number), {"parents": [entry]}) for number in range(_MANY)])
        reruns = plane.engine.graph.work.reruns
        await plane.passed()
        after = await written(plane)
        quiet = (Topic.XDS, Topic.GRAPH, Topic.STATUS, Topic.INFRA)
        assert after[Topic.CHANGES] == before[Topic.CHANGES] + 1, "the marker"
        assert {topic: after[topic] for topic in quiet} == {topic: before[topic] for topic in quiet}
        assert plane.engine.graph.work.reruns == reruns

        # Their users edit them: the log has it, as history must, and nothing is put out.
        for number in range(_EDITS):
            await plane.stage.put(theirs(space, number, f"/edited-{number}"))
        await plane.passed()
        assert {topic: (await written(plane))[topic] for topic in quiet} == {topic: before[topic] for topic in quiet}
        assert plane.engine.graph.work.reruns - reruns <= _RERUNS * _EDITS
        assert len(plane.cluster.applied) == writes

        # And ours costs what it costs alone, whatever is beside it.
        reruns = plane.engine.graph.work.reruns
        await plane.stage.put(route(space, "r", "a", path="/edited"))
        await shows(plane, route(space, "r"), Accepted="True", ResolvedRefs="True")
        assert 0 < plane.engine.graph.work.reruns - reruns < 100
