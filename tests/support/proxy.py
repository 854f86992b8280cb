"""A real Envoy for each Gateway of a set of fragments, served by the real publisher; ports are moved out of the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from envoy_data_plane.envoy.config.listener.v3 import Listener

from engine.envoy.wire import encode
from engine.seal import Sealer
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.sinks.bootstrap import bootstrap
from streams.sinks.local_envoy import envoy_binary
from streams.xds.server import serve
from streams.xds.stream import Publication, Report

PRIVILEGED = 1024
MOVED_BY = 20_000
_SECONDS = 120.0


class NotReady(AssertionError):  # noqa: N818
    """Envoy rejected something or did not take everything in time."""


def port_of(listener_port: int) -> int:
    """Where a listener's port is served: ports that need privileges are moved."""
    return listener_port + MOVED_BY if listener_port < PRIVILEGED else listener_port


@dataclass(slots=True)
class Proxies:
    """The running proxies: `address` is where all of them listen."""

    address: str
    sealer: Sealer
    publication: Publication
    reports: list[Report]
    heard: asyncio.Event
    wanted: dict[str, int] = field(default_factory=dict)

    def apply(self, fragments: Mapping[str, Fragment | None], keys: Mapping[str, FragmentKey], offset: int) -> None:
        """Publish a difference."""
        rows = {keys[name]: self._moved(one) if one is not None else None for name, one in fragments.items()}
        self.publication.apply(rows, offset)

    def _moved(self, fragment: Fragment) -> Fragment:
        if fragment.key.kind is not FragmentKind.LISTENER:
            return fragment
        about = str(fragment.key).encode()
        payload = self.sealer.unseal(fragment.payload, about) if fragment.sealed else fragment.payload
        listener = Listener.parse(payload)
        assert listener.address is not None
        socket = listener.address.socket_address
        assert socket is not None
        socket.address = self.address
        socket.ipv4_compat = False
        socket.port_value = port_of(socket.port_value or 0)
        payload = encode(listener)
        return replace(fragment, payload=self.sealer.seal(payload, about) if fragment.sealed else payload)

    async def taken(self, gateways: set[str], offset: int) -> None:
        """Wait until each gateway's proxy has acknowledged the offset; raises NotReady on a rejection."""
        async with asyncio.timeout(_SECONDS):
            while True:
                for report in self.reports:
                    if report.event == "nack":
                        msg = f"Envoy rejected: {report.rejection}"
                        raise NotReady(msg)
                acknowledged = {one.node.gateway for one in self.reports if one.event == "ack" and one.offset >= offset}
                if gateways <= acknowledged:
                    return
                self.heard.clear()
                await self.heard.wait()


@asynccontextmanager
async def proxies(
    fragments: Mapping[str, Fragment], sealer: Sealer, address: str, concurrency: int = 1
) -> AsyncIterator[Proxies]:
    """Serve fragments (by key text) to one Envoy a Gateway, and wait until they run them."""
    reports: list[Report] = []
    heard = asyncio.Event()

    def report(one: Report) -> None:
        reports.append(one)
        heard.set()

    publication = Publication(sealer, report)
    running = Proxies(address, sealer, publication, reports, heard)
    with tempfile.TemporaryDirectory(prefix="envoy-") as folder:
        socket = f"{folder}/xds.sock"
        async with serve(publication, f"unix:{socket}", lambda *_: True), contextlib.AsyncExitStack() as stack:
            running.apply(fragments, {name: one.key for name, one in fragments.items()}, 1)
            gateways = sorted({str(one.key.gateway) for one in fragments.values()})
            for number, gateway in enumerate(gateways):
                await stack.enter_async_context(_envoy(Path(folder), socket, gateway, f"{number}", concurrency))
            await running.taken(set(gateways), 1)
            await _listening(address, fragments)
            yield running


@asynccontextmanager
async def _envoy(folder: Path, socket: str, gateway: str, name: str, concurrency: int) -> AsyncIterator[None]:
    config = folder / f"{name}.json"
    config.write_text(json.dumps(bootstrap(gateway, f"{gateway}~{name}", socket, "token")))
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(envoy_binary(None)), "-c", str(config), "--concurrency", str(concurrency), "-l", "warn",
            "--disable-hot-restart", "--drain-time-s", "2", "--file-flush-interval-msec", "100", stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield
    except (TimeoutError, NotReady) as error:
        msg = f"{error!r}\n{log.read_text()[-3000:]}"
        raise NotReady(msg) from error
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _listening(address: str, fragments: Mapping[str, Fragment]) -> None:
    for fragment in fragments.values():
        if fragment.key.kind is FragmentKind.LISTENER and "~udp~" not in fragment.key.name:
            await _connectable(address, port_of(int(fragment.key.name.rpartition("~")[2])))


async def _connectable(address: str, port: int) -> None:
    async with asyncio.timeout(_SECONDS):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(address, port)
                writer.close()
                return
            await asyncio.sleep(0.02)
