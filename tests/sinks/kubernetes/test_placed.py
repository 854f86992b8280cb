"""Proxies of another cluster's Gateway, which nobody owns, and a Gateway of the cluster's own of the same name."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import Any, Final

import orjson
import pytest
import yaml

from streams.sinks.kubernetes.objects import GATEWAY, SECRET, WATCHED, Target
from streams.sinks.kubernetes.proxy import CONTROLLER, secret_name
from streams.topics import Topic, split_key
from tests.sinks.kubernetes.test_deployer import ALL, Site, idle, row, site, until  # noqa: F401  a fixture

PLACED: Final = "east/gateway.networking.k8s.io/Gateway/default/gw@local"
_OWN: Final = row()
_KEY: Final = ("default", "gw")
_TARGETS: Final = (*(Target(kind, *_KEY) for kind in WATCHED), Target(SECRET, "default", secret_name("gw")))


def placed(**fields: Any) -> dict[str, Any]:
    """East's Gateway, which has proxies here."""
    return row(gateway=PLACED, **fields)


def of_whom(site: Site) -> set[str]:  # noqa: F811
    """Whose proxies there are, by all that says it: their bootstrap, their identity and their owner."""
    config, secret = site.one("ConfigMap default/gw"), site.one("Secret default/gw-xds")
    node = yaml.safe_load(config["data"]["envoy.yaml"])["node"]["metadata"]["gateway"]
    identity = b64decode(secret["data"]["tls.key"]).decode().removeprefix("key of ")
    owners = {one for name in ALL for one in owners_of(site, name)}
    return {node, identity, *(owners or {PLACED})}


def owners_of(site: Site, name: str) -> list[str]:  # noqa: F811
    """The owners of an object, by whose they are."""
    found = [str(one["uid"]) for one in site.one(name)["metadata"].get("ownerReferences", ())]
    return [_OWN["gateway"] if one == "uid-of-gw" else one for one in found]


async def reported(site: Site) -> dict[str, list[tuple[str, str]]]:  # noqa: F811
    """Event and words of what was reported, in order, by what it was reported of."""
    found: dict[str, list[tuple[str, str]]] = {}
    async for batch in site.log.read(Topic.REPORTS, 0):
        for one in batch:
            value = orjson.loads(one.value or b"null")
            of = split_key(one.key or b"")[1].removesuffix("/~deployer")
            assert value["gateway"] == of
            found.setdefault(of, []).append((value["event"], value["error"]))
    return found


async def test_it_needs_no_gateway_here_and_nobody_owns_it(site: Site) -> None:  # noqa: F811
    await site.wants(placed())
    async with site.deploying() as deployer:
        await until(lambda: site.found() == ALL)
        await idle(deployer)
        assert of_whom(site) == {PLACED}
        assert all(owners_of(site, name) == [] for name in ALL)
        await until(lambda: not deployer.outcomes.waiting)
    assert await reported(site) == {PLACED: [("deployed", "")]}


async def test_an_overlay_gives_it_no_owner(site: Site) -> None:  # noqa: F811
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "uid-of-other"}
    await site.wants(placed(overlays=[{"serviceOverlay": {"metadata": {"ownerReferences": [owner]}}}]))
    async with site.deploying():
        await until(lambda: site.found() == ALL)
    assert owners_of(site, "Service default/gw") == []


@pytest.mark.parametrize("is_away", [False, True])
async def test_it_goes_with_its_row(site: Site, *, is_away: bool) -> None:  # noqa: F811
    """Nothing else takes it along; also when nobody deployed in that moment."""
    await site.wants(placed())
    async with site.deploying():
        await until(lambda: site.found() == ALL)
        if not is_away:
            await site.wants(gone=(placed(),))
            await until(lambda: site.found() == [])
    if is_away:
        await site.wants(gone=(placed(),))
        async with site.deploying():
            await until(lambda: site.found() == [])


async def test_what_a_gateway_of_this_cluster_has_elsewhere_is_not_deployed_here(site: Site) -> None:  # noqa: F811
    await site.gateway()
    await site.wants(row(gateway=f"{_OWN['gateway']}@east"))
    async with site.deploying() as deployer:
        await idle(deployer)
        assert site.found() == []


async def test_where_both_have_a_row_the_clusters_own_counts(site: Site) -> None:  # noqa: F811
    await site.gateway()
    await site.wants(placed(), _OWN)
    async with site.deploying() as deployer:
        await until(lambda: site.found() == ALL)
        await idle(deployer)
        assert of_whom(site) == {_OWN["gateway"]}
        site.objects.calls.clear()
        await site.wants(gone=(placed(),))
        await until(lambda: PLACED not in {str(one) for one in deployer.rows.placed[_KEY]})
        await idle(deployer)
        assert site.objects.calls == [], "nothing of it was there"


def _both(row_: dict[str, Any]) -> dict[str, Any]:
    return placed() if row_ is _OWN else _OWN


@pytest.mark.parametrize("way", ["at once", "first the new one", "first the old one", "while away"])
@pytest.mark.parametrize("old", [_OWN, placed()], ids=["to the placed", "to the own"])
async def test_one_takes_over_from_the_other(site: Site, old: dict[str, Any], way: str) -> None:  # noqa: F811
    """Objects are the same ones: none goes but where its row was the last one for a moment."""
    new = _both(old)
    await site.gateway()
    await site.wants(old)
    async with site.deploying() as deployer:
        await until(lambda: site.found() == ALL)
        await idle(deployer)
        assert of_whom(site) == {old["gateway"]}
        site.objects.calls.clear()
        match way:
            case "at once":
                await site.wants(new, gone=(old,))
            case "first the new one":
                await site.wants(new)
                await idle(deployer)
                await site.wants(gone=(old,))
            case "first the old one":
                await site.wants(gone=(old,))
                await site.wants(new)
    if way == "while away":
        await site.wants(new, gone=(old,))
    async with site.deploying() as deployer:
        await until(lambda: site.found() == ALL and of_whom(site) == {new["gateway"]})
        await idle(deployer)
        assert of_whom(site) == {new["gateway"]}
        for name in ALL:
            assert owners_of(site, name) == ([new["gateway"]] if new is _OWN else [])
    if way != "first the old one":
        assert not [one for one in site.objects.calls if one.startswith("remove")]
    assert (await reported(site))[new["gateway"]][-1] == ("deployed", "")


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
async def test_what_a_deleted_gateway_takes_along_is_written_anew(site: Site, when: str) -> None:  # noqa: F811
    """Whenever the garbage collector comes by: it may have looked before the objects had another owner, or none."""

    async def collected() -> None:
        for target in _TARGETS:
            await site.objects.delete(target)

    async with site.deployed() as deployer:
        await site.objects.delete(Target(GATEWAY, *_KEY))
        if when == "before":
            await collected()
            await idle(deployer)
        await site.wants(placed(), gone=(_OWN,))
        if when == "meanwhile":
            await until(lambda: site.objects.calls)
            await collected()
        await until(lambda: site.found() == ALL and of_whom(site) == {PLACED})
        if when == "after":
            await idle(deployer)
            await collected()
        await until(lambda: site.found() == ALL and of_whom(site) == {PLACED})
        await idle(deployer)
        assert (site.found(), of_whom(site)) == (ALL, {PLACED})


async def test_a_namespace_that_is_not_there_is_told_of_with_what_to_do(site: Site) -> None:  # noqa: F811
    site.objects.nowhere.add("default")
    await site.wants(placed())
    async with site.deploying() as deployer:
        async with asyncio.timeout(20):
            while PLACED not in await reported(site):
                await asyncio.sleep(0.01)
        ((event, words),) = (await reported(site))[PLACED]
        assert event == "undeployed"
        assert words == "there is no namespace default in cluster local, where its proxies are to run: create it there"
        site.objects.nowhere.clear()
        await until(lambda: site.found() == ALL)
        await idle(deployer)
        await until(lambda: not deployer.outcomes.waiting)
    assert (await reported(site))[PLACED][1:] == [("deployed", "")]


async def test_of_a_placement_that_is_replaced_no_trouble_is_left(site: Site) -> None:  # noqa: F811
    """Else it would begin with it when it is wanted again."""
    site.objects.refused[Target(WATCHED[0], *_KEY)] = "no"
    await site.gateway()
    await site.wants(placed())
    async with site.deploying():
        async with asyncio.timeout(20):
            while PLACED not in await reported(site):
                await asyncio.sleep(0.01)
        await site.wants(_OWN)
        async with asyncio.timeout(20):
            while [event for event, _ in (await reported(site))[PLACED]] != ["undeployed", "deployed"]:
                await asyncio.sleep(0.01)


async def test_what_may_be_another_installations_is_not_taken_over(site: Site) -> None:  # noqa: F811
    """What has no controller's name is of whoever has a Gateway of that name; here there is none of ours."""
    await site.wants(placed())
    async with site.deploying():
        await until(lambda: site.found() == ALL)
    for object_ in site.objects.all().values():
        del object_["metadata"]["labels"][CONTROLLER]
        await site.objects.put(object_)
    site.objects.calls.clear()
    async with site.deploying() as deployer:
        async with asyncio.timeout(20):
            while (await reported(site))[PLACED][-1][0] != "undeployed":
                await asyncio.sleep(0.01)
        assert deployer.wanted
    assert site.objects.calls == []
