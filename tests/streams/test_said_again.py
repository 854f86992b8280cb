"""What the control plane said itself and the resolver rejected is said again: a Tick, and a verdict of the publisher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.engine import Engine
from engine.events import ChangeSet, Pin, Quarantine
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from streams.clock import now
from streams.codec import encode_change_set
from streams.domain import Domain
from streams.memory import MemoryLog
from streams.rejected import rejected_offsets
from streams.resolver import ResolveOptions, _ticks
from streams.signing import Signer
from streams.xds.bench import Bench, Verdicts
from tests.support.manifests import TIME, endpoints, gateway, route, service
from tests.support.roles import working
from tests.support.signing import HUB, ROOT, STRANGER, TRUSTING, key, of

_SEALER = Sealer(bytes(KEY_BYTES))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.resolver._POLL_SECONDS", 0.02)
    monkeypatch.setattr("streams.resolver._AGAIN_SECONDS", 0.2)
    monkeypatch.setattr("streams.xds.bench._LOOK_SECONDS", 0.2)


class _Resolver:
    """Resolves a log in memory; whoever writes signs with the last of the keys."""

    def __init__(self) -> None:
        self.keys: list[Ed25519PrivateKey] = [key(ROOT)]
        self.log = MemoryLog(signer=Signer(lambda: self.keys[-1]))
        self.domain = Domain(self.log, lambda: Engine(_SEALER, TRUSTING))

    @property
    def engine(self) -> Any:
        assert self.domain._held is not None  # noqa: SLF001
        return self.domain._held.engine  # noqa: SLF001

    def wakes(self) -> dict[int, str | None]:
        return {0: self.domain.wake_at}

    async def tell(self, source: str, cluster: str, *changes: Any) -> None:
        async with self.log.appender() as writer:
            await writer.write(encode_change_set(ChangeSet("default", cluster, source, "1", TIME, "test", changes)))

    async def signs_with(self, number: int) -> None:
        self.keys.append(key(number))
        assert self.log.signer is not None
        self.log.signer.renew()

    @asynccontextmanager
    async def resolving(self) -> AsyncIterator[None]:
        async def resolve() -> None:
            while True:
                async for records in self.domain.missing():
                    await self.domain.apply(records)
                await asyncio.sleep(0.02)

        await self.domain.acquire()
        async with working(resolve()):
            yield

    async def rejects(self, some: int) -> None:
        async with asyncio.timeout(60):
            while len(await rejected_offsets(self.log, 0)) < some:
                await asyncio.sleep(0.02)


async def _until(question: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not question():
            await asyncio.sleep(0.02)


async def test_a_tick_that_was_rejected_is_said_again(tmp_path: Path) -> None:
    made = _Resolver()
    await made.tell("control", "", Pin("p", None, 0, "why", "2026-01-01T00:00:00.000Z"))
    await made.signs_with(STRANGER)
    options = ResolveOptions(made.log, _SEALER, TRUSTING, tmp_path)  # type: ignore[arg-type]
    async with made.resolving(), working(_ticks(options, made)):  # type: ignore[arg-type]
        await made.rejects(2)
        assert "pin/p" in made.engine.state()
        made.keys.append(key(ROOT))
        await _until(lambda: "pin/p" not in made.engine.state())


async def test_a_verdict_that_was_rejected_is_said_again_until_it_counts() -> None:
    made = _Resolver()
    await made.tell("files", HUB, *(of(HUB, one) for one in (gateway(), route("r"), service(), endpoints())))
    looks = asyncio.Event()
    verdicts = Verdicts(Bench(made.log, None, now), looks.set)
    async with made.resolving():
        await _until(lambda: made.engine.everything().fragments.set)
        found = made.engine.everything().fragments.set.values()
        guilty = next(one for one in found if one.key.kind is FragmentKind.ROUTE)
        held = Quarantine(guilty.key.gateway, str(guilty.key), guilty.version, guilty.provenance, "no", "1.40")
        await made.signs_with(STRANGER)
        offset = await verdicts.say([held])
        await made.rejects(1)
        await looks.wait()
        made.keys.append(key(ROOT))
        looks.clear()
        moved = await verdicts.again()
        assert list(moved) == [offset]
        await _until(lambda: any(name.startswith("quarantine/") for name in made.engine.state()))
        # It counts: nobody says it once more.
        await looks.wait()
        assert await verdicts.again() == {}
        looks.clear()
        assert len(await rejected_offsets(made.log, 0)) == 1
