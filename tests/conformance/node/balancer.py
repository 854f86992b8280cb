"""kube-proxy in user space: what comes to a Service's addresses goes to one of its pods."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from tests.conformance.node.client import complain

_UDP_SECONDS = 5.0

Target = tuple[str, int]


class Front(NamedTuple):
    """Where is listened."""

    address: str
    port: int
    protocol: str


class Balancer:
    """Listens on every front of the last `set`."""

    def __init__(self) -> None:
        self._targets: dict[Front, Sequence[Target]] = {}
        self._open: dict[Front, asyncio.Server | asyncio.DatagramTransport] = {}
        # A task that nobody holds may be collected before it is done.
        self._tasks: set[asyncio.Future[Any]] = set()

    async def set(self, wanted: Mapping[Front, Sequence[Target]]) -> None:
        """Open what is new, close what is gone; connections that are there stay."""
        for front in [one for one in self._open if one not in wanted]:
            self._open.pop(front).close()
        self._targets = dict(wanted)
        for front in wanted:
            if front not in self._open:
                try:
                    self._open[front] = await self._listen(front)
                except OSError as error:
                    complain(f"cannot listen on {front}: {error}")

    async def close(self) -> None:
        """Close all."""
        await self.set({})
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, front: Front) -> asyncio.Server | asyncio.DatagramTransport:
        if front.protocol == "TCP":

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                self._spawn(self._connect(front, reader, writer))

            return await asyncio.start_server(accept, front.address, front.port, backlog=512)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self, front), local_addr=(front.address, front.port)
        )
        return transport

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, front: Front, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets = self._targets.get(front)
        try:
            if not targets:
                msg = "no pod"
                raise OSError(msg)
            there, back = await asyncio.open_connection(*random.choice(targets))
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_pump(reader, back), _pump(there, writer))
        writer.close()
        back.close()

    def forward(self, front: Front, data: bytes, asker: Any, transport: asyncio.DatagramTransport) -> None:
        """One datagram, and one answer to it."""
        if targets := self._targets.get(front):
            self._spawn(_exchange(random.choice(targets), data, asker, transport))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, balancer: Balancer, front: Front) -> None:
        self._balancer, self._front = balancer, front

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._balancer.forward(self._front, data, addr, self._transport)


class _Answer(asyncio.DatagramProtocol):
    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


async def _exchange(target: Target, data: bytes, asker: Any, transport: asyncio.DatagramTransport) -> None:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    there, _ = await loop.create_datagram_endpoint(lambda: _Answer(answer), remote_addr=target)
    there.sendto(data)
    try:
        transport.sendto(await asyncio.wait_for(answer, _UDP_SECONDS), asker)
    except OSError:  # TimeoutError is one: no answer is none
        pass
    finally:
        there.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (OSError, RuntimeError):
        writer.transport.abort()
