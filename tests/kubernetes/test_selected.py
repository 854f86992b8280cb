"""Secrets that are asked for by their labels: each enters and leaves with them, and no other Secret is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from engine.events import Delete, Put
from engine.observed import selection_ref
from engine.ref import Ref
from streams.memory import MemoryLog
from streams.sources.kubernetes.observed import Observed
from streams.topics import Topic
from tests.kubernetes.objects import config_map, secret
from tests.kubernetes.stage import MemoryStage, Stage
from tests.kubernetes.test_mirror import World, seen_of, verbs
from tests.kubernetes.test_watch import OPTIONS, has, objects, resolved, sets, until, watching

_SHOP = {"app": "shop", "example.com/team": "stock"}
_NAME = "app=shop,example.com:team=stock"


def labelled(namespace: str, name: str, value: str = "swordfish", **labels: str) -> dict[str, Any]:
    found = secret(namespace, name, value)
    return {**found, "metadata": {**found["metadata"], "labels": labels}}


class Asking:
    """What the graph asks for, as a test has it."""

    def __init__(self, stage: Stage, *names: str) -> None:
        self.selection = selection_ref("east", stage.namespace, _SHOP)
        self.named = frozenset(Ref("east", "", "Secret", stage.namespace, one) for one in names)
        self._queue = asyncio.Queue[frozenset[Ref]]()
        self.ask(self.selection)

    def ask(self, *refs: Ref) -> None:
        self._queue.put_nowait(self.named | frozenset(refs))

    async def _wanted(self) -> AsyncIterator[frozenset[Ref]]:
        while True:
            yield await self._queue.get()

    @asynccontextmanager
    async def watching(self, log: MemoryLog, stage: Stage) -> AsyncIterator[None]:
        async with watching(log, stage, replace(OPTIONS, wanted=self._wanted)):
            yield


async def told(log: MemoryLog, name: str) -> list[str]:
    """The verbs of what is told of a Secret."""
    changes = [one for found in await sets(log) for one in found.changes if isinstance(one, Put | Delete)]
    return [type(one).__name__ for one in changes if one.ref.name == name]


async def test_each_enters_and_leaves_with_its_labels(stage: Stage) -> None:
    log, asking, space = MemoryLog(), Asking(stage), stage.namespace
    await stage.put(labelled(space, "a", **_SHOP))
    await stage.put(labelled(space, "half", app="shop"))
    await stage.put(secret(space, "other", "herring"))
    async with asking.watching(log, stage):
        await has(log, stage, "Secret/a", f"SecretSelection/{_NAME}")
        # The answer is told with all that it answers.
        (first,) = [one for one in await sets(log) if any(isinstance(two, Put) and two.ref == asking.selection for two in one.changes)]
        assert {one.ref.name for one in first.changes if isinstance(one, Put) and one.ref.namespace == space} == {"a", _NAME}
        await stage.put(labelled(space, "new", **_SHOP, more="yes"))
        await has(log, stage, "Secret/a", "Secret/new", f"SecretSelection/{_NAME}")
        await stage.put(labelled(space, "half", **_SHOP))
        await has(log, stage, "Secret/a", "Secret/half", "Secret/new", f"SecretSelection/{_NAME}")
        await stage.put(labelled(space, "a", app="shop"))
        await stage.delete(labelled(space, "new"))
        await has(log, stage, "Secret/half", f"SecretSelection/{_NAME}")
        asking.ask()
        await has(log, stage)
        asking.ask(asking.selection)
        await has(log, stage, "Secret/half", f"SecretSelection/{_NAME}")
    records = [record.value or b"" async for batch in log.read(Topic.CHANGES, 0) for record in batch]
    assert not any(word in record for record in records for word in (b"swordfish", b"herring", b"c3dvcmRmaXNo"))
    assert await told(log, "other") == []


async def test_that_there_is_none_is_an_answer(stage: Stage) -> None:
    log, asking = MemoryLog(), Asking(stage)
    async with asking.watching(log, stage):
        await has(log, stage, f"SecretSelection/{_NAME}")


async def test_one_that_is_named_as_well_stays_without_its_labels(stage: Stage) -> None:
    """And is never away: who names it would have nothing in between."""
    log, asking, space = MemoryLog(), Asking(stage, "a"), stage.namespace
    await stage.put(labelled(space, "a", **_SHOP))
    async with asking.watching(log, stage):
        await has(log, stage, "Secret/a", f"SecretSelection/{_NAME}")
        await stage.put(labelled(space, "a", app="none"))
        await until(stage, lambda: _has_labels(log, stage, {"app": "none"}))
        await stage.put(labelled(space, "a", **_SHOP))
        await until(stage, lambda: _has_labels(log, stage, _SHOP))
        await stage.put(config_map(space, "marker", "1"))
        await has(log, stage, "ConfigMap/marker", "Secret/a", f"SecretSelection/{_NAME}")
        assert "Delete" not in await told(log, "a")
        await stage.delete(labelled(space, "a"))
        await has(log, stage, "ConfigMap/marker", f"SecretSelection/{_NAME}")


async def _has_labels(log: MemoryLog, stage: Stage, labels: dict[str, str]) -> bool:
    return bool((await objects(log, stage))["Secret/a"]["metadata"].get("labels") == labels)


async def test_what_lost_its_labels_while_nobody_watched_leaves(stage: Stage) -> None:
    log, asking, space = MemoryLog(), Asking(stage), stage.namespace
    for name in "abc":
        await stage.put(labelled(space, name, **_SHOP))
    async with asking.watching(log, stage):
        await has(log, stage, "Secret/a", "Secret/b", "Secret/c", f"SecretSelection/{_NAME}")
    await resolved(log)
    before = len(await sets(log))
    await stage.put(labelled(space, "a", app="none"))
    await stage.delete(labelled(space, "b"))
    asking.ask(asking.selection)
    async with asking.watching(log, stage):
        await has(log, stage, "Secret/c", f"SecretSelection/{_NAME}")
    after = [one for found in (await sets(log))[before:] for one in found.changes if isinstance(one, Put | Delete)]
    assert sorted(type(one).__name__ + one.ref.name for one in after if one.ref.namespace == space) == ["Deletea", "Deleteb"]


async def test_a_selection_that_expires_is_listed_again() -> None:
    stage = MemoryStage()
    log, asking, space = MemoryLog(), Asking(stage), stage.namespace
    await stage.put(labelled(space, "a", **_SHOP))
    async with asking.watching(log, stage):
        await has(log, stage, "Secret/a", f"SecretSelection/{_NAME}")
        await stage.cut()
        await stage.put(labelled(space, "a", app="none"))
        await stage.put(labelled(space, "b", **_SHOP))
        await stage.forget()
        await stage.mend()
        await has(log, stage, "Secret/b", f"SecretSelection/{_NAME}")


# -- two watches that show one Secret, in whatever order ------------------------------------------------------------------


def _at(version: str, value: str, **labels: str) -> tuple[Ref, Observed]:
    ref, seen = seen_of(labelled("ns", "a", value, **labels))
    return ref, replace(seen, version=version)


_FIRST, _SECOND = (selection_ref("c", "ns", one) for one in ({"app": "shop"}, {"team": "stock"}))
_BOTH = {"app": "shop", "team": "stock"}


@pytest.fixture
def world() -> World:
    """Both selections were read, and show one Secret."""
    found, (ref, seen) = World(), _at("5", "1", **_BOTH)
    found.mirror.wanted(frozenset({_FIRST, _SECOND}), 1.0)
    for one in (_FIRST, _SECOND):
        found.mirror.selected(one, {ref: seen}, 1.0)
    assert sorted(verbs(found.told())[0]) == ["Put a", "Put app=shop", "Put team=stock"]
    return found


def test_an_older_state_that_comes_later_is_no_news(world: World) -> None:
    ref, newer = _at("7", "3", **_BOTH)
    world.mirror.seen(ref, newer, 2.0, _FIRST)
    assert verbs(world.told()) == [["Put a"]]
    world.mirror.seen(*_at("6", "2", **_BOTH), 2.0, _SECOND)
    assert world.told() == []
    world.mirror.seen(ref, newer, 2.0, _SECOND)
    assert world.told() == []


def test_it_is_gone_when_no_selection_shows_it(world: World) -> None:
    ref, _ = _at("7", "3")
    world.mirror.seen(ref, Observed(), 2.0, _FIRST)
    assert world.told() == []
    world.mirror.seen(ref, Observed(), 2.0, _SECOND)
    assert verbs(world.told()) == [["Delete a"]]


def test_it_is_gone_with_the_last_selection_that_is_asked_for(world: World) -> None:
    world.mirror.wanted(frozenset({_SECOND}), 2.0)
    assert verbs(world.told()) == [["Delete app=shop"]]
    world.mirror.wanted(frozenset(), 2.0)
    assert sorted(verbs(world.told())[0]) == ["Delete a", "Delete team=stock"]
    # What was under way when the watch ended is not heard.
    world.mirror.seen(*_at("8", "4", **_BOTH), 2.0, _SECOND)
    assert world.told() == []


def test_versions_of_before_the_cluster_was_brought_back_count_no_more(world: World) -> None:
    ref, back = _at("3", "0", **_BOTH)
    world.mirror.selected(_FIRST, {ref: back}, 2.0)
    world.mirror.selected(_SECOND, {ref: back}, 2.0)
    assert verbs(world.told()) == [["Put a"]]


def test_one_whose_selection_is_still_to_be_read_stays(world: World) -> None:
    """The others do not know it, but this one may."""
    third, (ref, _) = selection_ref("c", "ns", _BOTH), _at("5", "1")
    world.mirror.wanted(frozenset({third}), 2.0)
    assert "Delete a" not in verbs(world.told())[0]
    world.mirror.selected(third, {}, 2.0)
    assert verbs(world.told()) == [["Delete a", f"Put {third.name}"]]
    assert ref not in world.logged.objects
