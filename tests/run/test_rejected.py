"""A watcher whose records are rejected knows it, says so, and says all of it again once they would be taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.engine import Engine, EngineSettings
from engine.events import ChangeSet, Put, Reachable
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.backoff import Backoff
from streams.clock import now
from streams.codec import decode_change_set
from streams.domain import Domain
from streams.identity import IdentityError
from streams.kafka import KafkaLog
from streams.memory import MemoryLog
from streams.ports import Log, Outgoing
from streams.rejected import rejected_offsets
from streams.signing import Signer
from streams.sources.files import FilesOptions, watch_files
from streams.telemetry import Telemetry
from streams.topics import Topic
from tests.run.test_files import service
from tests.streams.toy import kafka_log
from tests.support.roles import taking, working
from tests.support.signing import EAST, HUB, ROOT, TRUSTING, WEST, cluster_object, key, said, signer, written

_SECONDS = 60.0


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.sources.journal._PATIENCE_SECONDS", 0.2)


class _Site:
    """A watched directory, and a resolver that trusts keys; `log` has no signer, the watcher's has."""

    def __init__(self, log: MemoryLog | KafkaLog, root: Path) -> None:
        self.log, self.root, self.telemetry = log, root, Telemetry()
        self.domain = Domain(log, lambda: Engine(Sealer(bytes(KEY_BYTES)), TRUSTING))

    @asynccontextmanager
    async def watching(self, by: Signer) -> AsyncIterator[None]:
        options = FilesOptions("local", self.root, now, telemetry=self.telemetry)
        async with working(watch_files(_signed(self.log, by), Sealer(bytes(KEY_BYTES)), options)):
            yield

    def has(self, name: str) -> bool:
        held = self.domain._held  # noqa: SLF001
        return held is not None and f"resource/{Ref('local', '', 'Service', 'default', name)}" in held.engine.state()

    async def write(self, *some: Outgoing) -> None:
        async with self.log.appender() as writer:
            await writer.write(some)

    async def register(self, *keys: str, generation: int = 1) -> None:
        one = said(HUB, "kubernetes", cluster_object("local", *keys, generation=generation))
        await self.write(written(one, signer(ROOT, start=generation)))

    async def said(self) -> list[ChangeSet]:
        there = [decode_change_set(one) async for batch in self.log.read(Topic.CHANGES, 0) for one in batch]
        return [one for one in there if one.source == "files" and one.actor != "test"]


def _signed(log: Log, by: Signer) -> Log:
    if isinstance(log, KafkaLog):
        return replace(log, signer=by)
    assert isinstance(log, MemoryLog)
    other = MemoryLog(signer=by)
    other.__dict__ |= {name: value for name, value in vars(log).items() if name != "signer"}
    return other


async def until(question: Callable[[], object]) -> None:
    async with asyncio.timeout(_SECONDS):
        while not question():
            await asyncio.sleep(0.02)


async def test_it_says_all_of_it_again_once_its_key_is_registered(tmp_path: Path) -> None:
    await _registered_late(_Site(MemoryLog(), tmp_path))


@pytest.mark.kafka
async def test_so_it_does_on_kafka(tmp_path: Path, broker: str) -> None:
    async with kafka_log(broker) as log:
        await _registered_late(_Site(log, tmp_path))


async def _registered_late(site: _Site) -> None:
    (site.root / "a.yaml").write_text(service("a"))
    own, other = signer(EAST).public, signer(WEST).public
    await site.register(other)
    async with taking(site.domain), site.watching(Signer(lambda: key(EAST))):
        await until(lambda: "is not registered for it: sign it with a key" in _waits(site))
        assert "what cluster local says is rejected by the resolver" in _waits(site)
        (site.root / "b.yaml").write_text(service("b"))
        async with asyncio.timeout(_SECONDS):
            while len(await rejected_offsets(site.log, 0)) < 4:
                await asyncio.sleep(0.02)
        assert not site.has("a")
        await site.register(other, own, generation=2)
        await until(lambda: site.has("a") and site.has("b"))
        await until(lambda: not _waits(site))
        (site.root / "c.yaml").write_text(service("c"))
        await until(lambda: site.has("c"))
    # Between what is rejected and what is taken it says nothing but a word that changes nothing.
    sets = [one.changes for one in await site.said()]
    assert [one for one in sets if any(isinstance(change, Put) for change in one)] == [sets[0], *sets[-2:]]
    assert all(one == (Reachable(),) for one in sets[1:-2])


def _waits(site: _Site) -> str:
    return "; ".join(site.telemetry.health.waiting().values())


async def test_a_key_that_is_replaced_is_loaded_anew(tmp_path: Path) -> None:
    site = _Site(MemoryLog(), tmp_path)
    (tmp_path / "a.yaml").write_text(service("a"))
    keys: list[Ed25519PrivateKey] = [key(EAST)]
    await site.register(signer(WEST).public)
    async with taking(site.domain), site.watching(Signer(lambda: keys[-1])):
        await until(lambda: "is rejected" in _waits(site))
        keys.append(key(WEST))
        await until(lambda: site.has("a"))


async def test_what_others_forge_as_ours_is_no_refusal_of_ours(tmp_path: Path) -> None:
    site = _Site(MemoryLog(), tmp_path)
    (tmp_path / "a.yaml").write_text(service("a"))
    await site.register(signer(EAST).public)
    async with taking(site.domain), site.watching(Signer(lambda: key(EAST))):
        await until(lambda: site.has("a"))
        (own,) = await site.said()
        await site.write(*(written(replace(own, actor="test"), None) for _ in range(20)))
        await until(lambda: site.domain.following >= 22)
        (tmp_path / "b.yaml").write_text(service("b"))
        await until(lambda: site.has("b"))
        assert not _waits(site)
    assert len(await rejected_offsets(site.log, 0)) == 20
    assert len(await site.said()) == 2


async def test_while_the_file_of_its_key_cannot_be_read_it_asks_with_the_key_before(tmp_path: Path) -> None:
    site = _Site(MemoryLog(), tmp_path)
    (tmp_path / "a.yaml").write_text(service("a"))
    keys: list[Ed25519PrivateKey | None] = [key(EAST)]

    def load() -> Ed25519PrivateKey:
        if (found := keys[-1]) is None:
            msg = "the signing key cannot be read"
            raise IdentityError(msg)
        return found

    await site.register(signer(WEST).public)
    async with taking(site.domain), site.watching(Signer(load)):
        await until(lambda: "is rejected" in _waits(site))
        keys.append(None)
        there = len(await rejected_offsets(site.log, 0))
        async with asyncio.timeout(_SECONDS):
            while len(await rejected_offsets(site.log, 0)) < there + 2:
                await asyncio.sleep(0.02)
        keys.append(key(WEST))
        await until(lambda: site.has("a"))


@pytest.mark.parametrize("trust", [None, TRUSTING], ids=["unknown", "known"])
async def test_what_was_written_before_a_restart_and_is_rejected_later_is_said_again(
    tmp_path: Path, trust: EngineSettings | None
) -> None:
    log = MemoryLog()
    log.trust = trust
    site = _Site(log, tmp_path)
    (tmp_path / "a.yaml").write_text(service("a"))
    own, other = signer(EAST).public, signer(WEST).public
    await site.register(other)
    for _ in range(2):
        # Nobody resolves meanwhile: it is not known yet that the key is not registered.
        async with site.watching(Signer(lambda: key(EAST))):
            await until(lambda: not _waits(site))
    async with site.watching(Signer(lambda: key(EAST))):
        await until(lambda: not _waits(site))
        async with taking(site.domain):
            await until(lambda: "is rejected by the resolver" in _waits(site))
            assert not site.has("a")
            await site.register(other, own, generation=2)
            await until(lambda: site.has("a"))
            await until(lambda: not _waits(site))


async def test_a_rejection_after_a_long_time_is_asked_about_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    class Waited(Backoff):
        async def wait(self) -> None:
            pauses.append(self.pause())
            await asyncio.sleep(0.02)

    monkeypatch.setattr("streams.sources.journal.Backoff", Waited)
    monkeypatch.setattr("streams.sources.journal._PATIENCE_SECONDS", 3.0)
    site = _Site(MemoryLog(), tmp_path)
    (tmp_path / "a.yaml").write_text(service("a"))
    own, other = signer(EAST).public, signer(WEST).public
    await site.register(other)
    async with taking(site.domain), site.watching(Signer(lambda: key(EAST))):
        await until(lambda: len(pauses) > 3)
        assert pauses[:4] == [1.0, 2.0, 3.0, 3.0]
        await site.register(other, own, generation=2)
        await until(lambda: site.has("a"))
        # Soon after it is the same trouble still, which must not be tried in a loop.
        before = len(pauses)
        await site.register(other, generation=3)
        (tmp_path / "b.yaml").write_text(service("b"))
        await until(lambda: len(pauses) > before)
        assert pauses[before] == 3.0
        await site.register(other, own, generation=4)
        await until(lambda: site.has("b") and not _waits(site))
        await asyncio.sleep(3.2)
        before = len(pauses)
        await site.register(other, generation=5)
        (tmp_path / "c.yaml").write_text(service("c"))
        await until(lambda: len(pauses) > before + 1)
        assert pauses[before : before + 2] == [1.0, 2.0]
