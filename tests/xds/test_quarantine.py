"""From a real Envoy's NACK to a fact of the log and back: guilty is what an isolated Envoy refuses, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.events import Lift, Put, Quarantine
from engine.update import FragmentKind, parse_fragment_key
from streams.topics import Topic
from streams.view import read_table
from streams.xds.messages import CLUSTER, ENDPOINTS, LISTENER, SECRET
from tests.support.manifests import endpoints, gateway, route, service
from tests.support.odd_proxy import reject
from tests.support.running import free_port
from tests.support.story import backend, certificate
from tests.xds.plane import GATEWAY, Plane, until

_SECOND: dict[FragmentKind, Put] = {
    FragmentKind.ROUTE: route("r", path="/second", generation=2),
    FragmentKind.CLUSTER: backend("127.0.0.9", 2),
    FragmentKind.ENDPOINTS: endpoints("s", "127.0.0.1", "127.0.0.2", generation=2),
    FragmentKind.SECRET: certificate(2),
}
"""An edit of an object that slips through as a fragment that Envoy refuses."""
_OF_THE_GATEWAY = (FragmentKind.LISTENER, FragmentKind.ROUTE_CONFIG)
"""What an edit of the Gateway lets slip through, see `edited`."""


async def populate(plane: Plane) -> Put:
    """A Gateway, which is answered, and something of every kind."""
    http = {"name": "http", "port": free_port(), "protocol": "HTTP"}
    tls = {"name": "tls", "port": free_port(), "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}}
    rule = {"backendRefs": [{"group": "gateway.kgateway.dev", "kind": "Backend", "name": "b"}]}
    told = gateway("gw", http, tls)
    await plane.tell(told, service(), endpoints(), certificate(), backend("localhost"))
    await plane.tell(route("r", path="/first"), route("to-b", rules=[rule]))
    return told


def edited(told: Put, kind: FragmentKind) -> Put:
    """The Gateway with another listener on a port, or with a port more, which has a route configuration of its own."""
    http, tls = told.object["spec"]["listeners"]
    if kind is FragmentKind.LISTENER:
        return gateway("gw", http, {**tls, "hostname": "second.example.com"}, generation=2)
    return gateway("gw", http, tls, {**http, "name": "more", "port": free_port()}, generation=2)


async def published(plane: Plane) -> dict[str, bytes | None]:
    """What proxies are given: fragment -> its bytes."""
    return {key: row.value for key, row in (await read_table(plane.log, Topic.XDS, 0)).rows.items()}


@pytest.mark.parametrize("kind", [*_SECOND, *_OF_THE_GATEWAY])
async def test_what_no_envoy_takes_is_quarantined_and_the_last_good_serves_through_restarts(
    tmp_path: Path, kind: FragmentKind
) -> None:
    plane = Plane(tmp_path, kind)
    told = await populate(plane)
    second = edited(told, kind) if kind in _OF_THE_GATEWAY else _SECOND[kind]
    async with plane.resolving():
        good: dict[str, bytes | None] = {}

        async def known() -> bool:
            nonlocal good
            good = await published(plane)
            return bool(good)

        await until(known)
        async with plane.publishing(), plane.envoy():
            await plane.converges()
            await plane.tell(second)

            async def held() -> bool:
                return bool(await plane.quarantines())

            await until(held)
            found = await plane.quarantines()
            assert set(found.values()) == {"1.40.0"}
            assert [parse_fragment_key(one).kind for one in found] == [kind]
            assert await published(plane) == good
            await plane.converges()
    before = len(await plane.reports("nack"))
    async with plane.resolving(), plane.publishing(), plane.envoy("1"):
        since = len(await plane.reports("ack"))
        await plane.converges(since)
        assert await published(plane) == good
        assert await plane.quarantines() == found
        assert len(await plane.reports("nack")) == before
    assert not await plane.said(Lift)


@pytest.mark.parametrize("kind", [CLUSTER, ENDPOINTS, LISTENER, SECRET])
async def test_an_odd_proxy_punishes_nobody_else(tmp_path: Path, kind: str) -> None:
    plane = Plane(tmp_path)
    await populate(plane)
    async with plane.resolving(), plane.publishing():
        word = {CLUSTER: FragmentKind.CLUSTER, ENDPOINTS: FragmentKind.ENDPOINTS}.get(kind)
        word = word or (FragmentKind.LISTENER if kind == LISTENER else FragmentKind.SECRET)
        name = parse_fragment_key(await plane.fragment(word)).name
        await reject(plane.socket, "", GATEWAY, (kind, name), "I do not like it")

        async def acquitted() -> list[Any]:
            return await plane.reports("unconfirmed")

        await until(acquitted)
        assert (await acquitted())[0]["error"] == "I do not like it"
        assert not await plane.said(Quarantine)


async def test_a_quarantine_of_an_envoy_that_is_gone_is_lifted_once_and_judged_anew(tmp_path: Path) -> None:
    """What the present Envoy takes is served again; what it rejects, too, is held again and stays so."""
    plane = Plane(tmp_path, FragmentKind.SECRET, shared_address=False)
    await populate(plane)
    async with plane.resolving():
        await plane.tell(route("r", path="/second", generation=2), _SECOND[FragmentKind.SECRET])
        table = (await read_table(plane.log, Topic.XDS, 0)).rows
        keys = [await plane.fragment(FragmentKind.SECRET), await plane.fragment(FragmentKind.ROUTE, "default/r/")]

        async def second() -> bool:
            nonlocal table
            table = (await read_table(plane.log, Topic.XDS, 0)).rows
            return all(
                '"2"' in str(table[key].headers) or b"2" in dict(table[key].headers)["provenance"] for key in keys
            )

        await until(second)
        await plane.tell(*[_old(key, table[key].header("version")) for key in keys])

        async def both() -> bool:
            return set((await plane.quarantines()).values()) == {"1.39.0"} and len(await plane.quarantines()) == 2

        await until(both)
        async with plane.publishing(), plane.envoy():

            async def judged() -> bool:
                return await plane.quarantines() == {keys[0]: "1.40.0"}

            await until(judged)
            await plane.converges()
            async with plane.envoy("1"):
                await plane.converges(len(await plane.reports("ack")))
            assert sorted(one.fragment for one in await plane.said(Lift)) == sorted(keys)
            assert await judged()


def _old(key: str, version: str) -> Quarantine:
    parsed = parse_fragment_key(key)
    ref = _SECOND[parsed.kind].ref
    return Quarantine(parsed.gateway, key, version, ((ref, 2),), "no such thing", "1.39.0")
