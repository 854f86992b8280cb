"""UDP backends that answer every datagram with their name, and a client that sends one from a port of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.client import Answer, Ask

_SECONDS = 3.0


class _Backend(asyncio.DatagramProtocol):
    def __init__(self, name: str) -> None:
        self.name = name
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        self.transport.sendto(self.name.encode() + b" " + data, addr)


class _Client(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


@asynccontextmanager
async def answering(places: dict[tuple[str, int], str]) -> AsyncIterator[None]:
    """Backends at (address, port), by the name each is given."""
    loop = asyncio.get_running_loop()
    transports = []
    try:
        for place, name in places.items():
            transport, _ = await loop.create_datagram_endpoint(lambda name=name: _Backend(name), local_addr=place)
            transports.append(transport)
        yield
    finally:
        for transport in transports:
            transport.close()


async def send(address: str, port: int, asked: Ask) -> Answer:
    """One datagram; TimeoutError (an OSError) when nothing comes back within three seconds."""
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(_Client, remote_addr=(address, port))
    try:
        transport.sendto(asked.path.encode())
        name, _, said = (await asyncio.wait_for(client.answer, _SECONDS)).partition(b" ")
        return Answer(200, [("x-backend", name.decode())], said)
    finally:
        transport.close()
