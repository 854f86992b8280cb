"""A raw HTTP/1.1 client that sends exactly what it is told and keeps every header it is answered."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_SECONDS = 60.0
CLIENT = Path(__file__).parent / "client.pem"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `certificate` is the server's, DER, over TLS."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    certificate: bytes = b""

    def header(self, name: str) -> str | None:
        """All values of a header, joined as HTTP joins them; None when it is not there."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. `path` is sent as it stands; `sni` None means no TLS, "" TLS without a name.

    With `certificate` the client shows its own. `proxied` is an address that a PROXY line before the request tells of;
    `http10` sends HTTP/1.0, without the header host when that is "".
    """

    host: str
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    sni: str | None = None
    certificate: bool = False
    body: bytes = b""
    http10: bool = False
    proxied: str | None = None


class Connection:
    """One connection, kept open over requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, address: str, port: int, sni: str | None = None, *, certificate: bool = False) -> Connection:
        """Connect; raises OSError (ssl.SSLError too)."""
        if sni is None:
            return cls(*await asyncio.wait_for(asyncio.open_connection(address, port), _SECONDS))
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(CLIENT)
        opening = asyncio.open_connection(address, port, ssl=context, server_hostname=sni)
        return cls(*await asyncio.wait_for(opening, _SECONDS))

    async def ask(self, ask: Ask) -> Answer:
        """Send and read the whole answer; raises OSError or EOFError when the connection is lost."""
        lines = [f"PROXY TCP4 {ask.proxied} 127.0.0.1 1234 80"] if ask.proxied is not None else []
        lines.append(f"{ask.method} {ask.path} HTTP/{'1.0' if ask.http10 else '1.1'}")
        lines += [f"host: {ask.host}"] if ask.host or not ask.http10 else []
        lines += [f"{name}: {value}" for name, value in ask.headers.items()]
        lines += [f"content-length: {len(ask.body)}"] if ask.body else []
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + ask.body)
        return await asyncio.wait_for(self._answer(ask.method), _SECONDS)

    async def _answer(self, method: str) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n")
        first, *rest = head.split("\r\n")
        pairs = [line.partition(":") for line in rest]
        headers = [(name, value.strip()) for name, _, value in pairs]
        status = int(first.split(" ")[1])
        fields = {name.lower(): value for name, value in headers}
        body = b"" if method == "HEAD" or status in {101, 204, 304} else await self._body(fields)
        tls = self.writer.get_extra_info("ssl_object")
        return Answer(status, headers, body, tls.getpeercert(binary_form=True) if tls else b"")

    async def _body(self, fields: dict[str, str]) -> bytes:
        if "chunked" in fields.get("transfer-encoding", ""):
            parts = []
            while size := int((await self.reader.readline()).split(b";")[0], 16):
                parts.append(await self.reader.readexactly(size))
                await self.reader.readline()
            await self.reader.readline()
            return b"".join(parts)
        return await self.reader.readexactly(int(fields.get("content-length", "0")))

    def close(self) -> None:
        """Close; nothing is flushed that was not sent."""
        self.writer.close()


async def ask(address: str, port: int, request: Ask) -> Answer:
    """One request on a connection of its own."""
    connection = await Connection.open(address, port, request.sni, certificate=request.certificate)
    try:
        return await connection.ask(request)
    finally:
        connection.close()
