"""Echo backends: plain HTTP/1.1, h2c and WebSocket on one port; each answers what it received and who it is.

A request's own headers steer the answer: `x-echo-status`, `x-echo-delay` (seconds), `x-echo-fail` ("2 key": the first
two requests with that key answer 503), `x-echo-late` ("2 key": they answer after 3 seconds), `x-echo-close` ("2 key":
instead of an answer the connection ends), `x-echo-redirect` (a URL: answers have it as location, and what asks for its
path is answered with 200).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded

from tests.support.certificate import pair

_PREFACE = b"PRI * HTTP/2.0\r\n\r\n"
TLS_PORT = 8443
"""Backends at this port speak TLS."""
TRUSTED_PORT = 8444
"""Backends at this port too, with the certificate in TRUSTED (DNS:a.example.com, URI:spiffe://example.com/b), which
the authority in the golden cases has signed."""
UNWELL = "/unwell"
"""A path at which every backend answers 503, for health checks, which have no headers."""
LAMBDA_PORT = 8446
"""Backends at this port answer as an AWS Lambda function does, which gets a request as JSON and answers one."""
MUTUAL_PORT = 8445
"""Backends at this port want a certificate of the client, too: one that CLIENTS has signed, such as CLIENT."""
CLIENTS = Path(__file__).parent / "clients.pem"
CLIENT = Path(__file__).parent / "client.pem"
TRUSTED = Path(__file__).parent / "trusted.pem"
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""What version 2 of the PROXY protocol begins with."""
_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Backend:
    """One backend; `seen` is what it was asked, in order, unless it is to forget."""

    name: str
    forgets: bool = False
    is_function: bool = False
    seen: list[dict[str, object]] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            await self._connection(reader, writer)
        writer.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = ""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if head == _SIGNATURE[:4] or head.startswith(b"PROXY "):
                client, head = await _proxied(head, reader)
            if head == _PREFACE:
                await self._http2(reader, writer)
                return
            method, path, headers = _parse(head)
            fields = {name.lower(): value for name, value in headers}
            if fields.get("upgrade", "").lower() == "websocket" and "sec-websocket-key" in fields:
                await self._websocket(fields, reader, writer)
                return
            await _body(fields, reader)
            status, body = await self.answer(method, path, headers, "HTTP/1.1", client)
            reason = HTTPStatus(status).phrase if status in {one.value for one in HTTPStatus} else "Status"
            lines = [f"HTTP/1.1 {status} {reason}", f"content-length: {len(body)}", *_fields(self.name)]
            lines += [f"location: {fields['x-echo-redirect']}"] if "x-echo-redirect" in fields else []
            writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body))
            await writer.drain()

    async def answer(
        self, method: str, path: str, headers: Headers, protocol: str, client: str = ""
    ) -> tuple[int, bytes]:
        """Status and body for a request, after the delay it asks for."""
        fields = {name.lower(): value for name, value in headers}
        seen: dict[str, object] = {
            "backend": self.name,
            "method": method,
            "path": path,
            "protocol": protocol,
            "headers": headers,
            "client": client,
        }
        if not self.forgets:
            self.seen.append(seen)
        await asyncio.sleep(float(fields.get("x-echo-delay", "0")))
        status = 503 if path == UNWELL else int(fields.get("x-echo-status", "200"))
        if "x-echo-redirect" in fields and urlsplit(fields["x-echo-redirect"]).path == path:
            status = HTTPStatus.OK
        if "x-echo-late" in fields:
            times, _, key = fields["x-echo-late"].partition(" ")
            self.failures[key] += 1
            await asyncio.sleep(3 if self.failures[key] <= int(times) else 0)
        if "x-echo-close" in fields:
            times, _, key = fields["x-echo-close"].partition(" ")
            self.failures[key] += 1
            if self.failures[key] <= int(times):
                raise ConnectionAbortedError
        if "x-echo-fail" in fields:
            times, _, key = fields["x-echo-fail"].partition(" ")
            self.failures[key] += 1
            status = 503 if self.failures[key] <= int(times) else status
        return status, json.dumps(seen).encode()

    async def _websocket(
        self, fields: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Shake hands, then send every byte back."""
        digest = hashlib.sha1(fields["sec-websocket-key"].encode() + _WEBSOCKET, usedforsecurity=False).digest()
        lines = ["HTTP/1.1 101 Switching Protocols", "upgrade: websocket", "connection: Upgrade"]
        lines += [f"sec-websocket-accept: {base64.b64encode(digest).decode()}", *_fields(self.name)]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def _http2(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        events = connection.receive_data(_PREFACE)
        requests: dict[int, Headers] = {}
        bodies: dict[int, bytes] = {}
        while True:
            for event in events:
                await self._event(connection, event, requests, bodies)
            writer.write(connection.data_to_send())
            data = await reader.read(65536)
            if not data:
                return
            events = connection.receive_data(data)

    async def _event(
        self, connection: H2Connection, event: Event, requests: dict[int, Headers], bodies: dict[int, bytes]
    ) -> None:
        if isinstance(event, RequestReceived) and event.stream_id is not None:
            requests[event.stream_id] = [(str(name), str(value)) for name, value in event.headers or ()]
        elif isinstance(event, DataReceived) and event.stream_id is not None:
            connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            bodies[event.stream_id] = bodies.get(event.stream_id, b"") + (event.data or b"")
        elif isinstance(event, StreamEnded) and event.stream_id is not None:
            headers = requests.pop(event.stream_id)
            pseudo = dict(headers)
            plain = [("host", pseudo[":authority"]), *(one for one in headers if not one[0].startswith(":"))]
            status, body = await self.answer(pseudo[":method"], pseudo[":path"], plain, "HTTP/2")
            sent = bodies.pop(event.stream_id, b"")
            body = _function(self.name, sent) if self.is_function else body
            connection.send_headers(event.stream_id, [(":status", str(status)), ("x-backend", self.name)])
            connection.send_data(event.stream_id, body, end_stream=True)


@asynccontextmanager
async def backends(places: dict[tuple[str, int], str], *, forget: bool = False) -> AsyncIterator[dict[str, Backend]]:
    """Backends at (address, port), by the name each is given; several places may share a name."""
    functions = {name for (_, port), name in places.items() if port == LAMBDA_PORT}
    named: dict[str, Backend] = {name: Backend(name, forget, name in functions) for name in places.values()}
    servers = []
    try:
        for (address, port), name in places.items():
            tls = _CONTEXTS.get(port, lambda _: None)(name)
            servers.append(await asyncio.start_server(named[name].connected, address, port, ssl=tls))
        yield named
    finally:
        for server in servers:
            server.close()


def _function(name: str, event: bytes) -> bytes:
    """What a function answers to the request in an event: in JSON, too."""
    asked = json.loads(event or b"{}")
    headers = {"x-backend": name, "x-method": asked.get("method"), "x-path": asked.get("raw_path")}
    headers["x-query"] = json.dumps(asked.get("query_string_parameters"), sort_keys=True)
    return json.dumps({"statusCode": 201, "headers": headers, "body": asked.get("body", ""), "cookies": ["a=b"]}).encode()


def _trusted(_: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TRUSTED)
    return context


def _mutual(name: str) -> ssl.SSLContext:
    context = _trusted(name)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(CLIENTS)
    return context


def _tls(name: str) -> ssl.SSLContext:
    """Of a certificate that names the backend: `backend-1`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(b"".join(pair(ec.generate_private_key(ec.SECP256R1()), name=f"backend-{name}")))
        file.flush()
        context.load_cert_chain(file.name)
    return context


_CONTEXTS: dict[int, Callable[[str], ssl.SSLContext | None]] = {
    TLS_PORT: _tls,
    TRUSTED_PORT: _trusted,
    MUTUAL_PORT: _mutual,
}


async def _proxied(head: bytes, reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The client that the PROXY protocol names, version 1 or 2, and the head that comes behind it."""
    if head.startswith(b"PROXY "):
        line, _, rest = head.partition(b"\r\n")
        return line.split()[2].decode(), rest
    fixed = await reader.readexactly(12)
    assert _SIGNATURE[:4] + fixed[:8] == _SIGNATURE
    addresses = await reader.readexactly(int.from_bytes(fixed[10:12]))
    return ".".join(map(str, addresses[:4])), await reader.readuntil(b"\r\n\r\n")


def _parse(head: bytes) -> tuple[str, str, Headers]:
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = [line.partition(":") for line in rest]
    return method, path, [(name, value.strip()) for name, _, value in pairs]


async def _body(fields: dict[str, str], reader: asyncio.StreamReader) -> None:
    if "content-length" in fields:
        await reader.readexactly(int(fields["content-length"]))
    elif "chunked" in fields.get("transfer-encoding", ""):
        while size := int((await reader.readline()).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readline()


def _fields(name: str) -> list[str]:
    return ["content-type: application/json", "server: echo", f"x-backend: {name}"]
