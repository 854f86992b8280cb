"""Statuses of objects at the edge of what an API server takes: each is written, and none is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.engine import Engine
from engine.resolve.proxy import GATEWAY_NAME
from engine.resolve.settings import EngineSettings
from engine.seal import KEY_BYTES, Sealer
from tests.kubernetes.bed.server import ApiServerProcess
from tests.kubernetes.objects import route, service
from tests.kubernetes.plane import Plane
from tests.kubernetes.stage import real_stage
from tests.kubernetes.test_status import gateway, settled, shows

pytestmark = pytest.mark.kubernetes
_LONG = ("x" * 49 + ".") * 5 + "end"
"""A name of 253 characters."""


@pytest.fixture
async def plane(api_server: ApiServerProcess) -> AsyncIterator[Plane]:
    settings = EngineSettings(service_addresses=True)
    async with real_stage(api_server) as stage:
        yield Plane(stage, engine=Engine(Sealer(bytes(range(KEY_BYTES))), settings))


async def test_more_addresses_than_a_status_holds(plane: Plane) -> None:
    """A load balancer of nodes (such as k3s') has the address of each of them."""
    space, api = plane.stage.namespace, plane.stage.api
    before = service(space, "gw")
    before["metadata"]["labels"] = {GATEWAY_NAME: "gw"}
    before["spec"] |= {"type": "LoadBalancer", "clusterIP": None}
    await plane.stage.put(before)
    await api.replace_status(before, {"loadBalancer": {"ingress": [{"ip": f"192.0.2.{one}"} for one in range(1, 31)]}})
    await plane.stage.put(gateway(space))
    async with plane.up():
        found = await shows(plane, gateway(space), Accepted="True")
        assert [one["value"] for one in found["addresses"]] == [f"192.0.2.{one}" for one in range(1, 17)]
        await settled(plane)
    assert not plane.cluster.refused


async def test_as_many_listeners_parents_and_characters_as_there_can_be(plane: Plane) -> None:
    space = plane.stage.namespace
    most = gateway(space, _LONG)
    names = [f"l{number}-{_LONG}"[:253].rstrip(".-") for number in range(64)]
    most["spec"]["listeners"] = [
        {"name": name, "port": 8000 + number, "protocol": "HTTP" if number % 2 else "example.com/odd", "hostname": f"h{number}.{_LONG}"[:253].rstrip("."),
         "allowedRoutes": {"kinds": [{"group": "example.com", "kind": f"K{one}"} for one in range(8)]}}
        for number, name in enumerate(names)
    ]  # fmt: skip
    one: dict[str, Any] = route(space, _LONG, *(f"s{number}" for number in range(16)))
    one["spec"]["parentRefs"] = [{"name": _LONG, "sectionName": name} for name in names[:32]]
    one["spec"]["rules"] = [{**one["spec"]["rules"][0], "matches": [{"path": {"value": f"/{number}"}}]} for number in range(16)]
    for put in (most, one):
        await plane.stage.put(put)
    async with plane.up():
        await shows(plane, most, Accepted="False")
        found = await shows(plane, one, Accepted="False")
        assert len(found["parents"]) == 32
        await settled(plane)
    assert not plane.cluster.refused
