"""What the control plane said itself and the resolver rejected is said again: a Tick, and a verdict of the publisher."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from engine.engine import Engine
from engine.events import ChangeSet, Pin, Quarantine
from engine.seal import KEY_BYTES, Sealer
from engine.update import FragmentKind
from streams.clock import now
from streams.codec import encode_change_set
from streams.domain import Domain
from streams.identity import IdentityError
from streams.memory import MemoryLog
from streams.rejected import rejected_offsets
from streams.resolver import ResolveOptions, _ticks
from streams.signing import Signer
from streams.xds.bench import Bench, Verdicts
from tests.support.manifests import TIME, endpoints, gateway, route, service
from tests.support.roles import taking, working
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
        self.keys: list[Ed25519PrivateKey | None] = [key(ROOT)]
        """The last is in the file; None where it cannot be read."""
        self.log = MemoryLog(signer=Signer(self._key))
        self.domain = Domain(self.log, lambda: Engine(_SEALER, TRUSTING))

    def _key(self) -> Ed25519PrivateKey:
        if (found := self.keys[-1]) is None:
            msg = "the signing key signing.key can be read by others (mode 644): chmod 600 signing.key"
            raise IdentityError(msg)
        return found

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

    async def held(self) -> Quarantine:
        """A quarantine of what there is, once it is resolved."""
        await _until(lambda: self.engine.everything().fragments.set)
        found = self.engine.everything().fragments.set.values()
        guilty = next(one for one in found if one.key.kind is FragmentKind.ROUTE)
        return Quarantine(guilty.key.gateway, str(guilty.key), guilty.version, guilty.provenance, "no", "1.40")

    async def rejects(self, some: int) -> None:
        async with asyncio.timeout(60):
            while len(await rejected_offsets(self.log, 0)) < some:
                await asyncio.sleep(0.02)


async def _until(question: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not question():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("replaced", [(ROOT,), (None, ROOT)], ids=["key", "unreadable"])
async def test_a_tick_that_was_rejected_is_said_again(tmp_path: Path, replaced: Sequence[int | None]) -> None:
    made = _Resolver()
    await made.tell("control", "", Pin("p", None, 0, "why", "2026-01-01T00:00:00.000Z"))
    await made.signs_with(STRANGER)
    options = ResolveOptions(made.log, _SEALER, TRUSTING, tmp_path)  # type: ignore[arg-type]
    async with taking(made.domain), working(_ticks(options, made)):  # type: ignore[arg-type]
        await made.rejects(2)
        assert "pin/p" in made.engine.state()
        for number in replaced:
            there = len(await rejected_offsets(made.log, 0))
            made.keys.append(None if number is None else key(number))
            if number is None:
                await made.rejects(there + 3)
        await _until(lambda: "pin/p" not in made.engine.state())


async def test_a_verdict_that_was_rejected_is_said_again_until_it_counts() -> None:
    made = _Resolver()
    await made.tell("files", HUB, *(of(HUB, one) for one in (gateway(), route("r"), service(), endpoints())))
    looks = asyncio.Event()
    verdicts = Verdicts(Bench(made.log, None, now), looks.set)
    async with taking(made.domain):
        held = await made.held()
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


async def test_a_verdict_is_said_with_the_key_before_while_its_file_cannot_be_read() -> None:
    made = _Resolver()
    await made.tell("files", HUB, *(of(HUB, one) for one in (gateway(), route("r"), service(), endpoints())))
    looks = asyncio.Event()
    verdicts = Verdicts(Bench(made.log, None, now), looks.set)
    async with taking(made.domain):
        held = await made.held()
        await made.signs_with(STRANGER)
        offset = await verdicts.say([held])
        await made.rejects(1)
        await looks.wait()
        made.keys.append(None)
        with capture_logs() as logs:
            moved = await verdicts.again()
        assert list(moved) == [offset]
        told = [one for one in logs if one["event"] == "the signing key cannot be loaded anew: the one before signs on"]
        assert [one["reason"].partition(": ")[2] for one in told] == ["chmod 600 signing.key"]


async def test_a_verdict_that_is_rejected_again_and_again_is_said_later_and_later() -> None:
    made, times = _Resolver(), asyncio.Event()
    waits: list[float] = []
    await made.tell("files", HUB, *(of(HUB, one) for one in (gateway(), route("r"), service(), endpoints())))
    verdicts = Verdicts(Bench(made.log, None, now), times.set)
    loop, later = asyncio.get_running_loop(), asyncio.get_running_loop().call_later

    def soon(seconds: float, call: Any, *given: Any, **named: Any) -> Any:
        if call.__module__ != "streams.xds.bench":
            return later(seconds, call, *given, **named)
        waits.append(seconds)
        return later(0.0, call, *given, **named)

    async with taking(made.domain):
        held = await made.held()
        await made.signs_with(STRANGER)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("streams.xds.bench._LONGEST_SECONDS", 1.0, raising=False)
            patch.setattr(loop, "call_later", soon)
            await verdicts.say([held])
            for some in range(1, 6):
                await made.rejects(some)
                await times.wait()
                times.clear()
                assert len(await verdicts.again()) == 1
    assert waits == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


async def test_whoever_looks_for_another_reason_has_no_verdict_said_before_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.xds.bench._LOOK_SECONDS", 60.0)
    made = _Resolver()
    await made.tell("files", HUB, *(of(HUB, one) for one in (gateway(), route("r"), service(), endpoints())))
    verdicts = Verdicts(Bench(made.log, None, now), lambda: None)
    async with taking(made.domain):
        held = await made.held()
        await made.signs_with(STRANGER)
        await verdicts.say([held])
        await made.rejects(1)
        assert await verdicts.again() == {}
