"""A control plane in one process, on the log in memory, whose engine lets through what only Envoy refuses.

The resolver's domain, the publisher and Envoy are the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from engine.engine import Engine, EngineSettings
from engine.events import ChangeSet, Lift, Quarantine
from engine.seal import KEY_BYTES, Sealer
from engine.update import Delta, Fragment, FragmentKind, Update
from streams.codec import decode_change_set, encode_change_set
from streams.memory import MemoryLog
from streams.sinks.local_envoy import envoy_binary
from streams.topics import Topic
from streams.view import read_table
from streams.xds.messages import clusters_of_route
from streams.xds.publisher import PublishOptions, publish
from tests.support import proxy
from tests.support.roles import resolving, working
from tests.xds.slipping import slipped

SEALER = Sealer(bytes(KEY_BYTES))
GATEWAY = "local/gateway.networking.k8s.io/Gateway/default/gw"
TIME = "2026-11-24T12:00:00.000Z"
_SECONDS = 240.0


class Leaky(Engine):
    """Fragments of a kind that were derived from a second generation, or a later one, slip through as no Envoy takes them."""

    def __init__(self, kind: FragmentKind | None, bind: str = "127.0.0.1", *, shared_address: bool) -> None:
        super().__init__(SEALER, EngineSettings(bind_address=bind, shared_address=shared_address))
        self._kind = kind

    def apply(self, change_set: ChangeSet, offset: int) -> Update:
        return self._leaked(super().apply(change_set, offset))

    def everything(self) -> Update:
        return self._leaked(super().everything())

    def _leaked(self, update: Update) -> Update:
        found = {key: self._leak(one) for key, one in update.fragments.set.items()}
        return replace(update, fragments=Delta(found, update.fragments.removed))

    def _leak(self, one: Fragment) -> Fragment:
        is_bad = one.key.kind is self._kind and any(generation >= 2 for _, generation in one.provenance)
        # What the engine falls back to names the present generation, too: it is known by its version, and an answer of
        # the proxy's own by that it goes nowhere.
        good = one.version in _GOOD or (one.key.kind is FragmentKind.ROUTE and not clusters_of_route(one.payload))
        if is_bad and not good:
            return slipped(one, SEALER)
        _GOOD.add(one.version)
        return one


_GOOD: set[str] = set()


@dataclass
class Plane:
    """`folder` holds the publisher's socket and snapshot; `kind` is what slips through.

    Several proxies of the gateway can listen at once only where it is not said that they share an address.
    """

    folder: Path
    kind: FragmentKind | None = None
    shared_address: bool = True
    bind: str = "127.0.0.1"
    returning: float = 0.0
    log: MemoryLog = field(default_factory=MemoryLog)
    number: int = 0

    @property
    def socket(self) -> Path:
        return self.folder / "xds.sock"

    async def tell(self, *changes: Any, source: str = "test") -> None:
        """Append a change set."""
        self.number += 1
        one = ChangeSet("default", "local", source, str(self.number), TIME, "me", tuple(changes))
        async with self.log.writer(f"source-{source}") as writer:
            await writer.write(encode_change_set(one))

    @asynccontextmanager
    async def resolving(self) -> AsyncIterator[None]:
        async with resolving(self.log, lambda: Leaky(self.kind, self.bind, shared_address=self.shared_address)):
            yield

    @asynccontextmanager
    async def publishing(self, envoy: Path | None = None) -> AsyncIterator[None]:
        """The publisher; `envoy` is the one that it asks in isolation."""
        self.socket.unlink(missing_ok=True)
        ready = asyncio.Event()
        options = PublishOptions(
            f"unix:{self.socket}",
            self.folder / "snapshot",
            lambda *_: True,
            lambda: TIME,
            envoy_binary(envoy),
            bind=self.bind,
            returning=self.returning,
        )
        async with working(publish(self.log, SEALER, options, lambda _: ready.set())):
            async with asyncio.timeout(_SECONDS):
                await ready.wait()
            yield

    @asynccontextmanager
    async def envoy(self, name: str = "0", workers: int = 1) -> AsyncIterator[None]:
        """A proxy of the gateway that has nothing yet."""
        async with proxy._envoy(self.folder, str(self.socket), GATEWAY, name, workers):
            yield

    async def said(self, verb: type[Quarantine | Lift]) -> list[Any]:
        """What the publisher has told the log."""
        found = [decode_change_set(one) async for batch in self.log.read(Topic.CHANGES, 0) for one in batch]
        return [
            change for one in found if one.source == "publisher" for change in one.changes if isinstance(change, verb)
        ]

    async def quarantines(self) -> dict[str, str]:
        """Fragments that are held back, each with the Envoy that rejected it."""
        rows = (await read_table(self.log, Topic.STATE, 0, under="quarantine/")).rows
        return {key.removeprefix("quarantine/"): orjson.loads(row.value or b"{}")["envoy"] for key, row in rows.items()}

    async def reports(self, event: str) -> list[dict[str, Any]]:
        found = [orjson.loads(one.value or b"") async for batch in self.log.read(Topic.REPORTS, 0) for one in batch]
        return [one for one in found if one["event"] == event]

    async def converges(self, since: int = 0) -> None:
        """Wait until a proxy has acknowledged the last fragment; of reports, only those after `since` of its kind."""
        table = await read_table(self.log, Topic.XDS, 0)
        last = max(int(one.header("offset")) for one in table.rows.values())

        async def acknowledged() -> bool:
            return any(one["offset"] >= last for one in (await self.reports("ack"))[since:])

        await until(acknowledged)

    async def fragment(self, kind: FragmentKind, within: str = "") -> str:
        """The key of a fragment that is published."""
        rows = (await read_table(self.log, Topic.XDS, 0)).rows
        return next(key for key in sorted(rows) if f"/{kind.value}/" in key and within in key)


async def until(question: Callable[[], Any]) -> None:
    """Wait until a question is answered with yes."""
    async with asyncio.timeout(_SECONDS):
        while not await question():
            await asyncio.sleep(0.02)
