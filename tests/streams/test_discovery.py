"""What is found out of issuers goes into the log: once, when it differs, and for as long as somebody asks for it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.document import Document, document
from engine.events import Delete, Put, Refused, SyncBegin
from engine.observed import configuration_ref, is_configuration, observation
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.clock import now
from streams.codec import decode_change_set
from streams.memory import MemoryLog
from streams.sources.discovery import Discovery, NoConfiguration, Said, switched_off
from streams.sources.files import FilesOptions, watch_files
from streams.sources.journal import Journal
from streams.sources.logged import Logged, Place
from streams.topics import Topic
from tests.support.roles import working

_SECONDS = 60.0
_ISSUER = "https://login.example.com"
_REF = configuration_ref("local", _ISSUER)
_CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n"


class World:
    """A directory that is watched, and issuers that say what `answers` has of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, MemoryLog()
        self.wanted = asyncio.Queue[frozenset[Ref]]()
        self.answers: dict[str, Said | str] = {}
        self.asked: defaultdict[str, int] = defaultdict(int)
        (folder / "a.yaml").write_text(_CONFIG)

    async def ask(self, issuer: str) -> Said:
        self.asked[issuer] += 1
        answer = self.answers.get(issuer, "it cannot be reached over HTTPS")
        if isinstance(answer, str):
            raise NoConfiguration(answer)
        return answer

    async def _follow(self) -> AsyncIterator[frozenset[Ref]]:
        while True:
            yield await self.wanted.get()

    @asynccontextmanager
    async def watching(self, **more: Any) -> AsyncIterator[None]:
        how = {"refresh_seconds": 0.05, "first_seconds": 0.02, "ask": self.ask, **more}
        options = FilesOptions("local", self.folder, now, discovery=Discovery(self._follow, **how))
        async with working(watch_files(self.log, Sealer(bytes(KEY_BYTES)), options)):
            yield

    async def changes(self) -> list[Any]:
        records = [one async for batch in self.log.read(Topic.CHANGES, 0) for one in batch]
        return [change for one in records for change in decode_change_set(one).changes]

    async def told(self) -> list[Any]:
        """What the log was told of issuers, as it says it, one after the other."""
        found = [one for one in await self.changes() if isinstance(one, Put | Delete) and is_configuration(one.ref)]
        return [dict(one.object["spec"]) if isinstance(one, Put) else None for one in found]

    async def until(self, *said: Any) -> None:
        async with asyncio.timeout(_SECONDS):
            while await self.told() != list(said):
                await asyncio.sleep(0.01)

    async def asked_again(self, issuer: str = _ISSUER) -> None:
        """Twice: the first may have been under way."""
        before = self.asked[issuer]
        async with asyncio.timeout(_SECONDS):
            while self.asked[issuer] < before + 2:
                await asyncio.sleep(0.01)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def said(**spec: str) -> dict[str, str]:
    return {"issuer": _ISSUER, **spec}


async def test_it_is_told_once_and_again_when_it_differs(world: World) -> None:
    world.answers[_ISSUER] = {"tokenEndpoint": "one"}
    world.wanted.put_nowait(frozenset({_REF}))
    async with world.watching():
        await world.until(said(tokenEndpoint="one"))
        await world.asked_again()
        await world.until(said(tokenEndpoint="one"))
        world.answers[_ISSUER] = {"tokenEndpoint": "two"}
        await world.until(said(tokenEndpoint="one"), said(tokenEndpoint="two"))
    generations = [one.object["metadata"]["generation"] for one in await world.changes() if isinstance(one, Put) and one.ref == _REF]
    assert generations == [1, 2]


async def test_why_it_is_not_known_is_told_and_what_is_known_stays(world: World) -> None:
    world.wanted.put_nowait(frozenset({_REF}))
    async with world.watching():
        away = said(error="it cannot be reached over HTTPS")
        await world.until(away)
        await world.asked_again()
        world.answers[_ISSUER] = "it answers with HTTP 503"
        busy = said(error="it answers with HTTP 503")
        await world.until(away, busy)
        world.answers[_ISSUER] = {"tokenEndpoint": "one"}
        good = said(tokenEndpoint="one")
        await world.until(away, busy, good)
        del world.answers[_ISSUER]
        await world.asked_again()
        world.answers[_ISSUER] = {"tokenEndpoint": "two"}
        await world.until(away, busy, good, said(tokenEndpoint="two"))


async def test_what_nobody_asks_for_any_more_is_forgotten_and_not_asked(world: World) -> None:
    other = "https://other.example.com"
    world.answers = {_ISSUER: {"tokenEndpoint": "one"}, other: {"tokenEndpoint": "other"}}
    foreign = configuration_ref("elsewhere", "https://foreign.example.com")
    world.wanted.put_nowait(frozenset({_REF, foreign, Ref("local", "", "Secret", "default", "a")}))
    async with world.watching():
        await world.until(said(tokenEndpoint="one"))
        world.wanted.put_nowait(frozenset({configuration_ref("local", other)}))
        await world.until(said(tokenEndpoint="one"), None, {"issuer": other, "tokenEndpoint": "other"})
        before = world.asked[_ISSUER]
        await world.asked_again(other)
        assert world.asked.keys() == {_ISSUER, other}
        assert world.asked[_ISSUER] == before


async def test_the_directory_says_nothing_of_issuers(world: World) -> None:
    """Neither a new start nor a manifest takes away what was found out, nor can a manifest say it."""
    world.answers[_ISSUER] = {"tokenEndpoint": "one"}
    for _ in range(2):
        world.wanted.put_nowait(frozenset({_REF}))
        async with world.watching():
            await world.until(said(tokenEndpoint="one"))
            await world.asked_again()
    forged = f"apiVersion: penstock.dev/v1alpha1\nkind: OpenIDConfiguration\nmetadata: {{name: '{_REF.name}'}}\nspec: {{tokenEndpoint: forged}}\n"
    (world.folder / "b.yaml").write_text(forged)
    (world.folder / "a.yaml").write_text(_CONFIG.replace("b}", "c}"))
    world.wanted.put_nowait(frozenset({_REF}))
    async with world.watching():
        async with asyncio.timeout(_SECONDS):
            while not any(isinstance(one, Put) and one.object.get("data") == {"a": "c"} for one in await world.changes()):
                await asyncio.sleep(0.01)
        await world.asked_again()
    assert await world.told() == [said(tokenEndpoint="one")]
    assert not any(isinstance(one, Refused) and one.ref == _REF for one in await world.changes())


async def test_a_first_listing_is_none_of_its(world: World) -> None:
    """Asked at once, it waits until the log has what the directory says."""
    world.answers[_ISSUER] = {"tokenEndpoint": "one"}
    world.wanted.put_nowait(frozenset({_REF}))
    async with world.watching():
        await world.until(said(tokenEndpoint="one"))
    changes = await world.changes()
    assert isinstance(changes[0], SyncBegin)
    names = [one.ref.name for one in changes if isinstance(one, Put)]
    assert names == ["a", _REF.name]


async def test_switched_off_it_says_so(world: World) -> None:
    world.wanted.put_nowait(frozenset({_REF}))
    async with world.watching(ask=switched_off):
        async with asyncio.timeout(_SECONDS):
            while not await world.told():
                await asyncio.sleep(0.01)
        (only,) = await world.told()
        assert "PENSTOCK_OIDC_DISCOVERY is false" in only["error"]


class _Whole(dict[Ref, Document]):
    """What the log has, counting how often all of it is looked through."""

    walks = 0

    def __iter__(self) -> Iterator[Ref]:
        self.walks += 1
        return super().__iter__()


async def test_a_change_of_what_is_asked_for_looks_through_nothing_else() -> None:
    """A log may have 100,000 objects, and every Secret that comes to be asked for is such a change."""
    log, old = MemoryLog(), configuration_ref("local", "https://old.example.com")
    objects = _Whole({old: document(observation(old, {"tokenEndpoint": "old"}))})
    asked = asyncio.Queue[frozenset[Ref]]()

    async def wanted() -> AsyncIterator[frozenset[Ref]]:
        while True:
            yield await asked.get()

    async def ask(_: str) -> Said:
        return {"tokenEndpoint": "one"}

    async with log.writer("s") as writer:
        journal = Journal(Place("files", "local"), writer, Logged(objects=objects, synced=True), now)
        async with working(Discovery(wanted, ask).run(journal)), asyncio.timeout(_SECONDS):
            asked.put_nowait(frozenset({_REF}))
            while _REF not in journal.logged.objects or old in journal.logged.objects:
                await asyncio.sleep(0.01)
            before = objects.walks
            asked.put_nowait(frozenset())
            while _REF in journal.logged.objects:
                await asyncio.sleep(0.01)
    assert before <= 1
    assert objects.walks == before


async def test_a_long_name_is_cut_where_it_tells_who_changed_something(world: World) -> None:
    """As the actor of a change set it has to be short, or no one could read that."""
    long = f"{_ISSUER}/{'a' * 70_000}"
    world.answers[long] = {"tokenEndpoint": "one"}
    world.wanted.put_nowait(frozenset({configuration_ref("local", long)}))
    async with world.watching():
        await world.until({"issuer": long, "tokenEndpoint": "one"})
    records = [one async for batch in world.log.read(Topic.CHANGES, 0) for one in batch]
    actor = decode_change_set(records[-1]).actor
    assert actor.startswith(f"{_ISSUER}/aa")
    assert len(actor) <= 256  # noqa: PLR2004
