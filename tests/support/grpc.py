"""A gRPC client as far as routing is concerned: one POST over HTTP/2, by prior knowledge or ALPN; no messages within."""

from __future__ import annotations

import asyncio
import ssl

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived

from tests.support.client import Answer, Ask

_SECONDS = 60.0


async def call(address: str, port: int, asked: Ask) -> Answer:
    """Call the method at the path; trailers are told with the headers. Raises OSError or EOFError."""
    context = None
    if asked.sni is not None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
    async with asyncio.timeout(_SECONDS):
        reader, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=asked.sni)
        try:
            return await _called(reader, writer, asked)
        finally:
            writer.close()


async def _called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Ask) -> Answer:
    connection = H2Connection(H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    fields = [(":method", "POST"), (":scheme", "http"), (":authority", asked.host), (":path", asked.path)]
    fields += [("content-type", "application/grpc"), ("te", "trailers"), *asked.headers.items()]
    connection.send_headers(1, fields)
    connection.send_data(1, bytes(5), end_stream=True)
    headers: list[tuple[str, str]] = []
    body = b""
    while True:
        writer.write(connection.data_to_send())
        data = await reader.read(65536)
        if not data:
            raise EOFError
        for event in connection.receive_data(data):
            if isinstance(event, ResponseReceived | TrailersReceived):
                headers += [(str(name), str(value)) for name, value in event.headers or ()]
            elif isinstance(event, DataReceived):
                body += event.data or b""
            elif isinstance(event, StreamReset):
                raise EOFError  # noqa: TRY004  as when the connection is lost
            elif isinstance(event, StreamEnded):
                return Answer(int(dict(headers)[":status"]), headers, body)
