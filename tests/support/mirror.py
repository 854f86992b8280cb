"""An HTTP/1.1 server that sends each request's body back, and tells in `x-seen` what it was asked.

`x-answer` in a request, base64 of JSON such as {"status": 204, "headers": [["a", "b"]], "body": "x", "chunked": true},
says otherwise.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


def asking_for(**answer: Any) -> str:
    """The value of `x-answer`."""
    return base64.b64encode(json.dumps(answer).encode()).decode()


def seen(value: str | None) -> dict[str, Any]:
    """What `x-seen` tells: method, path, headers as pairs, and the length of the body."""
    found: dict[str, Any] = json.loads(base64.b64decode(value or "bnVsbA=="))
    return found


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return found


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        pairs = [(name.lower(), value.strip()) for name, _, value in (one.partition(":") for one in head[1:] if one)]
        fields = dict(pairs)
        if fields.get("transfer-encoding") == "chunked":
            body = await _chunks(reader)
        else:
            body = await reader.readexactly(int(fields.get("content-length", "0")))
        told = base64.b64encode(
            json.dumps({"method": method, "path": path, "headers": pairs, "body": len(body)}).encode()
        )
        asked = json.loads(base64.b64decode(fields["x-answer"])) if "x-answer" in fields else {}
        body = asked["body"].encode() if "body" in asked else body
        status, chunked = asked.get("status", 200), asked.get("chunked", False)
        lines = [f"HTTP/1.1 {status} Said", f"x-seen: {told.decode()}"]
        lines += [f"content-type: {fields.get('content-type', 'text/plain')}"]
        lines += [f"{name}: {value}" for name, value in asked.get("headers", ())]
        if status == 204:
            body = b""
        else:
            lines.append("transfer-encoding: chunked" if chunked else f"content-length: {len(body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if method != "HEAD" and chunked:
            half = len(body) // 2
            for part in (body[:half], body[half:]):
                writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n" if part else b"")
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        elif method != "HEAD":
            writer.write(body)
        await writer.drain()


async def _connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
        await _serve(reader, writer)
    writer.close()


@asynccontextmanager
async def mirror(address: str = "127.0.0.1") -> AsyncIterator[int]:
    """The server's port."""
    server = await asyncio.start_server(_connected, address, 0, limit=2**20)
    async with server:
        yield server.sockets[0].getsockname()[1]
