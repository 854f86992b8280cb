"""One behaviour suite for every cluster: the twin in memory and the real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streams.kubernetes.cluster import Away, Event, Gone, NotServed, Page, Served, Target, Verb
from tests.kubernetes.objects import config_map, secret, tcp_route
from tests.kubernetes.stage import Stage

MAPS = Target("", "ConfigMap", "configmaps", "v1")
TCP = Target("gateway.networking.k8s.io", "TCPRoute", "tcproutes", "v1")


def names(stage: Stage, pages: list[Page]) -> list[str]:
    return [
        one["metadata"]["name"]
        for page in pages
        for one in page.objects
        if one["metadata"]["namespace"] == stage.namespace
    ]


async def listed(stage: Stage, target: Target = MAPS, limit: int = 0) -> list[Page]:
    pages = [await stage.cluster.page(target, "", limit)]
    while pages[-1].token:
        pages.append(await stage.cluster.page(target, pages[-1].token, limit))
    return pages


async def heard(stage: Stage, events: AsyncIterator[Event], count: int) -> list[tuple[Verb, str]]:
    """The next events of the test's namespace."""
    found: list[tuple[Verb, str]] = []
    async with asyncio.timeout(stage.seconds):
        async for event in events:
            if event.object["metadata"].get("namespace") == stage.namespace:
                found.append((event.verb, event.object["metadata"]["name"]))
            if len(found) == count:
                break
    return found


async def test_pages_are_of_one_version_and_lack_nothing(stage: Stage) -> None:
    for number in range(7):
        await stage.put(config_map(stage.namespace, f"m{number}", "x"))
    pages = [await stage.cluster.page(MAPS, "", 3)]
    await stage.put(config_map(stage.namespace, "later", "x"))
    while pages[-1].token:
        pages.append(await stage.cluster.page(MAPS, pages[-1].token, 3))
    assert max(len(page.objects) for page in pages) == 3
    assert names(stage, pages) == [f"m{number}" for number in range(7)]
    assert {page.version for page in pages} == {pages[0].version}


async def test_a_watch_tells_all_that_came_after_its_version(stage: Stage) -> None:
    version = (await listed(stage))[-1].version
    await stage.put(config_map(stage.namespace, "a", "1"))
    await stage.put(config_map(stage.namespace, "a", "2"))
    events = stage.cluster.watch(MAPS, version)
    assert await heard(stage, events, 2) == [(Verb.ADDED, "a"), (Verb.MODIFIED, "a")]
    await stage.delete(config_map(stage.namespace, "a", "2"))
    again = stage.cluster.watch(MAPS, version)
    assert (await heard(stage, again, 3))[-1] == (Verb.DELETED, "a")


async def test_one_object_is_listed_and_watched_alone(stage: Stage) -> None:
    await stage.put(secret(stage.namespace, "other", "x"))
    target = Target("", "Secret", "secrets", "v1", stage.namespace, "mine")
    pages = await listed(stage, target)
    assert names(stage, pages) == []
    events = stage.cluster.watch(target, pages[-1].version)
    await stage.put(secret(stage.namespace, "other", "y"))
    await stage.put(secret(stage.namespace, "mine", "x"))
    assert await heard(stage, events, 1) == [(Verb.ADDED, "mine")]
    assert names(stage, await listed(stage, target)) == ["mine"]


async def test_what_has_some_labels_is_listed_and_watched_alone(stage: Stage) -> None:
    """Who gets them is added, and who loses them is deleted, to who watches."""

    def labelled(name: str, **labels: str) -> dict[str, object]:
        found = secret(stage.namespace, name, "x")
        return {**found, "metadata": {**found["metadata"], "labels": labels}}

    shop = {"app": "shop", "example.com/team": "stock"}
    await stage.put(labelled("a", **shop))
    await stage.put(labelled("half", app="shop"))
    target = Target("", "Secret", "secrets", "v1", stage.namespace, labels="app=shop,example.com/team=stock")
    pages = await listed(stage, target)
    assert names(stage, pages) == ["a"]
    events = stage.cluster.watch(target, pages[-1].version)
    await stage.put(labelled("half", **shop))
    await stage.put(labelled("other", app="other"))
    await stage.put(labelled("half", **shop, more="yes"))
    await stage.put(labelled("a", app="shop"))
    await stage.delete(labelled("half"))
    seen = [(Verb.ADDED, "half"), (Verb.MODIFIED, "half"), (Verb.DELETED, "a"), (Verb.DELETED, "half")]
    assert await heard(stage, events, 4) == seen


async def test_a_version_that_was_compacted_away_is_gone(stage: Stage) -> None:
    version = (await listed(stage))[-1].version
    await stage.put(config_map(stage.namespace, "a", "1"))
    await stage.forget()
    with pytest.raises(Gone):
        await heard(stage, stage.cluster.watch(MAPS, version), 1)


async def test_a_page_of_a_version_that_was_compacted_away_is_gone(stage: Stage) -> None:
    for number in range(4):
        await stage.put(config_map(stage.namespace, f"m{number}", "x"))
    page = await stage.cluster.page(MAPS, "", 2)
    await stage.put(config_map(stage.namespace, "m0", "y"))
    await stage.forget()
    with pytest.raises(Gone):
        await stage.cluster.page(MAPS, page.token, 2)


async def test_what_has_no_crd_is_not_served(stage: Stage) -> None:
    assert Served(*TCP[:1], TCP.version, TCP.plural) in await stage.cluster.served()
    with pytest.raises(NotServed):
        await stage.cluster.page(TCP._replace(version="v1beta9"), "", 0)
    await stage.unserve()
    try:
        with pytest.raises(NotServed):
            await stage.cluster.page(TCP, "", 0)
    finally:
        await stage.serve()
    await stage.put(tcp_route(stage.namespace, "a", "svc"))
    assert names(stage, await listed(stage, TCP)) == ["a"]


async def test_a_cluster_that_cannot_be_reached_is_away_and_its_watches_end(stage: Stage) -> None:
    version = (await listed(stage))[-1].version
    events = stage.cluster.watch(MAPS, version)
    await stage.put(config_map(stage.namespace, "first", "1"))
    assert await heard(stage, events, 1) == [(Verb.ADDED, "first")]
    waiting = asyncio.create_task(heard(stage, events, 1))
    await stage.cut()
    with pytest.raises(Away):
        await listed(stage)
    assert await waiting == []
    await stage.mend()
    await stage.put(config_map(stage.namespace, "a", "1"))
    assert await heard(stage, stage.cluster.watch(MAPS, version), 2) == [(Verb.ADDED, "first"), (Verb.ADDED, "a")]
