"""A server that takes connections and what is sent, and never answers: as one that hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass


@dataclass(slots=True)
class Mute:
    """`heard` counts the connections on which something was said."""

    heard: int = 0


@asynccontextmanager
async def mute(address: str, port: int) -> AsyncIterator[Mute]:
    """It listens at an address until the block ends."""
    found, open_ = Mute(), set[asyncio.StreamWriter]()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.add(writer)
        with suppress(ConnectionError):
            found.heard += bool(await reader.read(1))
            while await reader.read(65536):
                pass
        writer.close()

    server = await asyncio.start_server(take, address, port)
    try:
        yield found
    finally:
        server.close()
        for writer in open_:
            writer.close()
        await server.wait_closed()
