"""Several clusters as one: exports, conflicts, failover, members that come and go, and an API server that is gone."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.document import document
from engine.events import ChangeSet, Delete, Put
from engine.ref import Ref
from streams.clock import now
from streams.codec import encode_change_set
from streams.kafka import KafkaLog
from streams.kubernetes.client import connect
from streams.kubernetes.cluster import Forbidden, Target
from streams.rejected import rejected_offsets
from streams.signing import make_key, public_key
from streams.topics import Topic
from streams.view import read_table
from tests.conformance.network import is_allowed, node_network
from tests.e2e.site import GATEWAY
from tests.kubernetes.federation import EXPORT, MCS, Member, Plane, cluster, kubeconfig, members, secret
from tests.support.running import START_SECONDS, tidy, until

pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.kafka,
    pytest.mark.envoy,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not is_allowed() or shutil.which("ip") is None, reason="namespaces need root and iproute2"),
]
# A host is out after three failures, for half a minute: nine cost no request, of three hosts that are dead at once.
_ROUTE = f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: pay}}
spec:
  parentRefs: [{{name: gw}}]
  rules:
  - retry: {{attempts: 12}}
    backendRefs: [{{group: {MCS}, kind: ServiceImport, name: pay, port: 80}}]
"""
_CLUSTERS = "/apis/penstock.dev/v1alpha1/clusters"
_ROUTE_REF = Ref("east", "gateway.networking.k8s.io", "HTTPRoute", "default", "pay")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[list[Member]]:
    """East, which is the configuration cluster, west and north."""
    with node_network() as network, members(tmp_path, network, "east", "west", "north") as found:
        yield found


@pytest.fixture
def plane(fleet: list[Member], tmp_path: Path) -> Iterator[Plane]:
    """What runs penstock; nothing of it does yet."""
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(kubeconfig(*fleet[:2])))
    found = Plane(tmp_path, path, "east", public_key(make_key(tmp_path / "signing.key")))
    with tidy(found.data):
        yield found


def watched(hub: Member, name: str) -> str:
    """The reason of a member's condition, "" without one."""
    return hub.conditions(f"{_CLUSTERS}/{name}").get("Watched", ("", ""))[1]


def stale_since(hub: Member, name: str) -> str:
    """Since when a cluster cannot be reached, as its Cluster object says it; "" while it can."""
    said = (hub.call("GET", f"{_CLUSTERS}/{name}").get("status") or {}).get("conditions") or ()
    told = {one["type"]: one for one in said}["Reachable"]
    if told["status"] == "True":
        return ""
    assert (told["status"], told["reason"]) == ("False", "Unreachable")
    found = re.fullmatch(r"stale since (\S+Z): its API server does not answer; its last state is served", told["message"])
    assert found is not None, told
    return found[1]


def answers(plane: Plane, name: str) -> None:
    """Wait until a cluster answers, and then all of several requests in a row."""
    until(lambda: all(plane.ask() == (200, name) for _ in range(5)), START_SECONDS, lambda: f"{plane.ask()} {plane.said()}")


def served(plane: Plane) -> dict[str, bytes]:
    """What proxies are given, by its keys."""

    async def read() -> dict[str, bytes]:
        return {key: row.value or b"" for key, row in (await read_table(plane.log, Topic.XDS, 0)).rows.items()}

    return asyncio.run(read())


def has(plane: Plane, address: str) -> bool:
    """Whether any endpoint has that address."""
    return any(address.encode() in value for value in served(plane).values())


def test_a_federation_through_all_that_may_befall_it(fleet: list[Member], plane: Plane) -> None:
    east, west, north = fleet
    # East exported first: where the others differ, they are told.
    east.put(GATEWAY.format(name="gw", port=plane.port), _ROUTE, cluster("east"))
    east.put(cluster("west", {"context": "west"}, (plane.key,)))
    east.exports(80)
    until(lambda: east.call("GET", EXPORT))
    west.exports(8080)
    north.exports(8081)
    plane.start()
    plane.join()
    answers(plane, "east")
    until(lambda: watched(east, "west") == "Watched", says=plane.said)
    until(lambda: west.conditions(EXPORT).get("Conflict") == ("True", "PortConflict"), says=plane.said)
    until(lambda: east.conditions(EXPORT).get("Valid") == ("True", "Valid"), says=plane.said)
    _a_third_comes(plane, east, north)
    _endpoints_fail(plane, east, west)
    _an_api_server_is_gone(plane, east, west)
    _nobody_speaks_for_another(plane, east, west)
    _a_member_goes(plane, east, north)


def _a_third_comes(plane: Plane, east: Member, north: Member) -> None:
    """By a Secret and a Cluster object, while all runs."""
    assert not north.conditions(EXPORT)
    east.put(cluster("north", {"kubeconfig": {"namespace": "default", "name": "north", "key": "kubeconfig"}}))
    until(lambda: watched(east, "north") == "InvalidAccess", says=plane.said)
    east.put(secret("north", kubeconfig(north)))
    until(lambda: watched(east, "north") == "Watched", says=plane.said)
    until(lambda: north.conditions(EXPORT).get("Conflict") == ("True", "PortConflict"), says=plane.said)
    assert plane.ask() == (200, "east")


def _endpoints_fail(plane: Plane, east: Member, west: Member) -> None:
    """Those of the own cluster, then those of the next: others answer every request."""
    east.backend.down()
    assert {plane.ask()[0] for _ in range(20)} == {200}, plane.said()
    until(lambda: all(plane.ask()[1] in {"west", "north"} for _ in range(5)), says=plane.said)
    west.backend.down()
    answers(plane, "north")


def _an_api_server_is_gone(plane: Plane, east: Member, west: Member) -> None:
    """Nothing changes, though penstock begins anew meanwhile; back again, the log catches up."""
    before = served(plane)
    assert not stale_since(east, "west")
    asyncio.run(west.kill())
    until(lambda: watched(east, "west") == "Unreachable", says=plane.said)
    until(lambda: stale_since(east, "west"), says=plane.said)
    since = stale_since(east, "west")
    assert since <= now(), "it is when it answered last"
    assert not stale_since(east, "north")
    assert plane.ask() == (200, "north")
    assert served(plane) == before
    plane.kill()
    plane.start()
    answers(plane, "north")
    plane.join()
    until(lambda: plane.says("the cluster does not answer", "cluster=west"), says=plane.said)
    until(lambda: watched(east, "north") == "Watched", says=plane.said)
    assert watched(east, "west") == "Unreachable"
    assert stale_since(east, "west") == since
    assert served(plane) == before
    west.again()
    west.exports(8080, addresses=("10.200.2.9",))
    until(lambda: watched(east, "west") == "Watched", says=plane.said)
    until(lambda: has(plane, "10.200.2.9"), says=plane.said)
    until(lambda: not stale_since(east, "west"), says=plane.said)
    answers(plane, "north")


def _nobody_speaks_for_another(plane: Plane, east: Member, west: Member) -> None:
    """West's credentials open nothing in east, what is said as another of east's objects counts for nothing."""
    said = kubeconfig(east)
    said["users"] = [{"name": "east", "user": {"token": west.token}}]
    with pytest.raises(Forbidden):
        asyncio.run(_listed(said))
    before = served(plane)
    forged = (Delete(_ROUTE_REF), Put(_ROUTE_REF._replace(name="stolen"), document(_STOLEN)))
    asyncio.run(_append(plane.log, ChangeSet("default", "north", "kubernetes", "stolen", now(), "nobody", forged)))
    until(lambda: plane.says(f"cluster north cannot say anything of {_ROUTE_REF}", of="run"), says=plane.said)
    # What is said as west, of west's own objects even, is signed, or it is refused.
    refused = (Delete(Ref("west", MCS, "ServiceExport", "default", "pay")),)
    offset = asyncio.run(_append(plane.log, ChangeSet("default", "west", "kubernetes", "forged", now(), "nobody", refused)))
    until(lambda: offset in asyncio.run(rejected_offsets(plane.log, 0)), says=plane.said)
    assert served(plane) == before
    assert plane.ask() == (200, "north")


def _a_member_goes(plane: Plane, east: Member, north: Member) -> None:
    """Nobody watches it any more: what was known of it is served until a person has it forgotten."""
    east.call("DELETE", f"{_CLUSTERS}/north")
    until(lambda: plane.says("a member is left", "cluster=north"), says=plane.said)
    before = served(plane)
    north.exports(8081, addresses=("10.200.3.9",))
    east.put(_ROUTE.replace("attempts: 12", "attempts: 11"))
    until(lambda: served(plane) != before, says=plane.said)
    assert not has(plane, "10.200.3.9")
    answers(plane, "north")
    assert {one["cluster"] for one in plane.tells("status")["absent"]} == {"north"}
    done = plane.call("forget", "north", "--yes")
    assert done.returncode == 0, done.stderr
    until(lambda: plane.ask()[0] == 503, says=plane.said)


async def _listed(said: Mapping[str, Any]) -> None:
    async with connect(said) as server:
        await server.page(Target("", "Service", "services", "v1"), "", 1)


async def _append(log: KafkaLog, one: ChangeSet) -> int:
    """As somebody who may write the log, and has no key."""
    async with log.writer("nobody") as writer:
        (offset,) = await writer.write(encode_change_set(one, 0))
    return offset


_STOLEN = {**yaml.safe_load(_ROUTE), "metadata": {"name": "stolen", "namespace": "default", "generation": 1, "creationTimestamp": "2020-01-01T00:00:00Z"}}
