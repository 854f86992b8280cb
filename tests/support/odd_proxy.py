"""A proxy that rejects what it is sent, in words of its own: what a real Envoy cannot be made to do at will."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc

from engine.envoy.wire import frame
from streams.xds.messages import parse_response

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


async def reject(socket: Path, token: str, gateway: str, wanted: tuple[str, str], error: str) -> bytes:
    """Ask for a resource (type URL, name), answer it with an error, and return what was sent."""
    type_url, name = wanted
    value = frame(1, b"gateway") + frame(2, frame(3, gateway.encode()))
    node = frame(1, f"{gateway}~odd".encode()) + frame(3, frame(1, value))
    first = frame(1, node) + frame(2, type_url.encode()) + frame(3, name.encode())
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel, asyncio.timeout(20):
        call = channel.stream_stream(_METHOD)(metadata=(("authorization", f"Bearer {token}"),))
        await call.write(first)
        sent = bytes(await call.read())
        nonce = parse_response(sent).nonce
        await call.write(frame(2, type_url.encode()) + frame(6, nonce.encode()) + frame(7, frame(2, error.encode())))
        await call.done_writing()
        return sent
