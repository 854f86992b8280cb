"""Carries sessions over gRPC with raw bytes; the only file of the publisher that imports grpc."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog

from engine.fields import Malformed
from engine.signing import KeyPair
from streams.xds.authority import Authority
from streams.xds.messages import Node, Request, parse_request
from streams.xds.stream import Publication, Stream

_LOG = structlog.get_logger()
_METHOD = "DeltaAggregatedResources"
_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_REQUEST_BYTES = 64 << 20
_WRITE_SECONDS = 20.0
_STOP_SECONDS = 1.0

Authorised = Callable[[str, str], bool]
"""(placement, bearer token) -> whether that proxy may have that gateway's config, as of that cluster."""


@dataclass(frozen=True, slots=True)
class Secured:
    """TLS, in which a proxy proves of which Gateway it is one: by a certificate that `authority` signed.

    `certificate` and `key` are PEM files that the publisher shows in place of its own, read again when they change.
    """

    authority: Authority
    certificate: Path | None = None
    key: Path | None = None

    def pair(self) -> KeyPair:
        """What the publisher shows now. Raises OSError for files that cannot be read."""
        if self.certificate is None or self.key is None:
            return self.authority.server()
        return KeyPair(self.certificate.read_bytes(), self.key.read_bytes())


@asynccontextmanager
async def serve(publication: Publication, address: str, access: Authorised | Secured) -> AsyncIterator[int]:
    """Serve delta ADS on `address` ("127.0.0.1:0", "unix:/path"); yields the port. Raises OSError.

    In clear, to proxies with a token, unless `access` is `Secured`.
    """
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
    handler = _Handler(publication, access)
    method = grpc.stream_stream_rpc_method_handler(handler.stream)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: method}),))
    try:
        if isinstance(access, Secured):
            port = server.add_secure_port(address, _credentials(access))
        else:
            port = server.add_insecure_port(address)
    except RuntimeError as error:
        msg = f"the publisher cannot listen on {address}: {error}"
        raise OSError(msg) from error
    await server.start()
    try:
        yield port
    finally:
        await server.stop(_STOP_SECONDS)


def _credentials(secured: Secured) -> Any:
    """What is shown is asked for at each handshake. Raises OSError for files that cannot be read now."""
    known = [secured.pair()]

    def configuration() -> Any:
        pair = known[0]
        return grpc.ssl_server_certificate_configuration([(pair.key, pair.certificate)], secured.authority.certificate)

    def renewed() -> Any:
        try:
            found = secured.pair()
        except OSError as error:
            _LOG.error("the publisher's certificate cannot be read, the last one stays", reason=str(error))
            return None
        if found == known[0]:
            return None
        known[0] = found
        return configuration()

    return grpc.dynamic_ssl_server_credentials(configuration(), renewed, require_client_authentication=True)


class SlowReader(RuntimeError):  # noqa: N818
    """A proxy leaves what is sent to it unread; `sending` ends once it reads it."""

    def __init__(self, sending: asyncio.Future[None]) -> None:
        super().__init__("what was sent is not read")
        self.sending = sending


class _Handler:
    def __init__(self, publication: Publication, access: Authorised | Secured) -> None:
        self._publication = publication
        self._access = access

    async def stream(self, requests: AsyncIterator[bytes], context: Any) -> None:
        """One proxy's stream from its first request to its end: without its reader or its writer it is none."""
        coming = aiter(requests)
        first = await anext(coming, None)
        if first is None:
            return
        request = await self._parse(first, context)
        node, seconds = await self._admitted(request, context)
        stream = await self._publication.open(node)
        tasks: list[asyncio.Task[None]] = []
        try:
            tasks.append(asyncio.create_task(self._read(stream, request, coming, context), name="ads-reader"))
            tasks.append(asyncio.create_task(self._write(stream, context), name="ads-writer"))
            done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # First: who hangs up in the middle of this ends it at what waits.
            await self._publication.close(stream)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for error in filter(None, (task.exception() for task in done)):
            await self._end(error, stream, context)
        if not done:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the certificate has expired: come with its successor")

    async def _read(self, stream: Stream, first: Request, coming: AsyncIterator[bytes], context: Any) -> None:
        await stream.received(first)
        async for data in coming:
            await stream.received(await self._parse(data, context))

    async def _end(self, error: BaseException, stream: Stream, context: Any) -> None:
        """End the call when its reader or writer failed: the proxy keeps what it has and comes again."""
        if isinstance(error, grpc.aio.AbortError):
            raise error
        proxy, code, words = stream.node.id, grpc.StatusCode.INTERNAL, "the stream failed: see the publisher's log"
        if isinstance(error, SlowReader):
            code, words = grpc.StatusCode.RESOURCE_EXHAUSTED, "what was sent was not read: connect again"
            _LOG.warning("a proxy does not read: its stream is ended", proxy=proxy)
            # No status fits behind half a message: it has to read that first, or a ping without answer ends the call.
            await error.sending
        else:
            _LOG.error("a proxy's stream failed and is ended", proxy=proxy, reason=f"{type(error).__name__}: {error}")
        await context.abort(code, words)

    async def _parse(self, data: bytes, context: Any) -> Request:
        try:
            return parse_request(data)
        except Malformed as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"not a DeltaDiscoveryRequest: {error}")
            raise

    async def _admitted(self, request: Request, context: Any) -> tuple[Node, float | None]:
        """The proxy, and for how many seconds it has proved of which Gateway it is one; None is for ever."""
        node = request.node
        if node is None or not node.placement or not node.id:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "the first request must carry a node with an id and metadata.gateway"
            )
            raise AssertionError
        if isinstance(self._access, Secured):
            # An older session that is resumed was not looked at again.
            (shown,) = context.auth_context()["x509_pem_cert"]
            proof = self._access.authority.proof(shown)
            what, seconds = "certificate", proof.seconds
            is_allowed = node.placement in proof.gateways and seconds > 0
        else:
            token = str(dict(context.invocation_metadata() or ()).get("authorization", "")).removeprefix("Bearer ")
            what, seconds = "token", None
            is_allowed = self._access(node.placement, token)
        if not is_allowed:
            _LOG.warning("a proxy was refused", proxy=node.id, gateway=node.placement)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"the {what} is not valid for {node.placement}")
        return node, seconds

    async def _write(self, stream: Stream, context: Any) -> None:
        """Send what the session has to say whenever it has. Raises SlowReader."""
        while True:
            await stream.wake.wait()
            stream.wake.clear()
            for response in stream.responses():
                sending = asyncio.ensure_future(context.write(response))
                try:
                    done, _ = await asyncio.wait({sending}, timeout=_WRITE_SECONDS)
                except asyncio.CancelledError:
                    sending.cancel()
                    raise
                if not done:
                    raise SlowReader(sending)
                await sending
