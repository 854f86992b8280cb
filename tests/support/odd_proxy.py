"""A proxy that rejects what it is sent, in words of its own: what a real Envoy cannot be made to do at will."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from engine.envoy.wire import frame, varint
from streams.xds.messages import parse_response

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_SECONDS = 240.0


@dataclass
class OddProxy:
    """An open stream. `version` is the Envoy that it says to be, such as "1.39.0"; "" for none."""

    gateway: str
    version: str
    name: str
    call: Any
    wanted: str = ""
    nonce: str = ""

    async def ask(self, type_url: str, name: str = "") -> bytes:
        """Ask for a resource, or for all of a type, and return what is sent."""
        self.wanted = type_url
        value = frame(1, b"gateway") + frame(2, frame(3, self.gateway.encode()))
        # Node: id=1, metadata=3, user_agent_build_version=8.
        node = frame(1, f"{self.gateway}~{self.name}".encode()) + frame(3, frame(1, value))
        if self.version:
            numbers = enumerate(map(int, self.version.split(".")), 1)
            node += frame(8, frame(1, b"".join(varint(at << 3) + varint(one) for at, one in numbers)))
        subscribed = frame(3, name.encode()) if name else b""
        await self.call.write(frame(1, node) + frame(2, type_url.encode()) + subscribed)
        return await self.read()

    async def read(self) -> bytes:
        """What is sent next."""
        async with asyncio.timeout(_SECONDS):
            sent = bytes(await self.call.read())
        self.nonce = parse_response(sent).nonce
        return sent

    async def answer(self, error: str = "") -> None:
        """Reject what was sent last, or acknowledge it."""
        detail = frame(7, frame(2, error.encode())) if error else b""
        await self.call.write(frame(2, self.wanted.encode()) + frame(6, self.nonce.encode()) + detail)


@asynccontextmanager
async def odd_proxy(
    socket: Path, gateway: str, *, version: str = "", name: str = "odd", token: str = ""
) -> AsyncIterator[OddProxy]:
    """A proxy as long as the block runs."""
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        call = channel.stream_stream(_METHOD)(metadata=(("authorization", f"Bearer {token}"),))
        yield OddProxy(gateway, version, name, call)
        await call.done_writing()


async def reject(socket: Path, token: str, gateway: str, wanted: tuple[str, str], error: str) -> bytes:
    """Ask for a resource (type URL, name), answer it with an error, and return what was sent."""
    async with odd_proxy(socket, gateway, token=token) as one:
        sent = await one.ask(*wanted)
        await one.answer(error)
        return sent
