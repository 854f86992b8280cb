"""Carries sessions over gRPC with raw bytes; the only file of the publisher that imports grpc."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog

from streams.xds.messages import Malformed, Request, parse_request
from streams.xds.stream import Publication, Stream

_LOG = structlog.get_logger()
_METHOD = "DeltaAggregatedResources"
_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_REQUEST_BYTES = 64 << 20
_WRITE_SECONDS = 20.0
_STOP_SECONDS = 1.0

Authorised = Callable[[str, str], bool]
"""(gateway ref, bearer token) -> whether that proxy may have that gateway's config."""


@asynccontextmanager
async def serve(publication: Publication, address: str, authorised: Authorised) -> AsyncIterator[int]:
    """Serve delta ADS on `address` ("127.0.0.1:0", "unix:/path"); yields the port. Raises OSError."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", _REQUEST_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.so_reuseport", 0),
        ]
    )
    handler = _Handler(publication, authorised)
    method = grpc.stream_stream_rpc_method_handler(handler.stream)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: method}),))
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        msg = f"the publisher cannot listen on {address}: {error}"
        raise OSError(msg) from error
    await server.start()
    try:
        yield port
    finally:
        await server.stop(_STOP_SECONDS)


class _Handler:
    def __init__(self, publication: Publication, authorised: Authorised) -> None:
        self._publication = publication
        self._authorised = authorised

    async def stream(self, requests: AsyncIterator[bytes], context: Any) -> None:
        """One proxy's stream from its first request to its end."""
        stream: Stream | None = None
        writer: asyncio.Task[None] | None = None
        try:
            async for data in requests:
                request = await self._parse(data, context)
                if stream is None:
                    stream = await self._open(request, context)
                    writer = asyncio.create_task(self._write(stream, context))
                await stream.received(request)
                if writer is not None and writer.done():
                    break
        finally:
            # First: who hangs up in the middle of this ends it at what waits.
            if stream is not None:
                await self._publication.close(stream)
            if writer is not None:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)

    async def _parse(self, data: bytes, context: Any) -> Request:
        try:
            return parse_request(data)
        except Malformed as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not a DeltaDiscoveryRequest: {error}")
            raise

    async def _open(self, request: Request, context: Any) -> Stream:
        node = request.node
        if node is None or not node.gateway or not node.id:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "the first request must carry a node with an id and metadata.gateway"
            )
            raise AssertionError
        token = dict(context.invocation_metadata() or ()).get("authorization", "")
        if not self._authorised(node.gateway, str(token).removeprefix("Bearer ")):
            _LOG.warning("a proxy was refused", proxy=node.id, gateway=node.gateway)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"the token is not valid for {node.gateway}")
        return await self._publication.open(node)

    async def _write(self, stream: Stream, context: Any) -> None:
        """Send what the session has to say whenever it has; a proxy that does not read is cut off."""
        while True:
            await stream.wake.wait()
            stream.wake.clear()
            for response in stream.responses():
                try:
                    async with asyncio.timeout(_WRITE_SECONDS):
                        await context.write(response)
                except TimeoutError:
                    _LOG.warning("a proxy does not read", proxy=stream.node.id)
                    context.cancel()
                    return
