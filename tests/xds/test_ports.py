"""A port is of one proxy: whoever comes second says so, and takes it once it is free."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from engine.engine import Engine, EngineSettings
from engine.update import Fragment, FragmentKey, FragmentKind
from streams.topics import Topic
from streams.view import read_table
from streams.xds.address import taken
from streams.xds.server import serve
from streams.xds.stream import Publication
from tests.support.manifests import change_set, gateway, route
from tests.support.running import free_port
from tests.support.story import certificate
from tests.xds.plane import GATEWAY, SEALER, Plane, until


def told_by(name: str, port: int) -> tuple[Any, Any]:
    """A Gateway on a port, whose one route sends everybody to a host of that name."""
    redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": f"{name}.test"}}
    return gateway("gw", {"name": "http", "port": port, "protocol": "HTTP"}), route("r", rules=[{"filters": [redirect]}])


async def answer(port: int) -> str:
    """The head of the answer on a new connection; "" when nobody answers."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.close()
    except (OSError, EOFError):
        return ""
    return head


async def ask(port: int) -> str:
    """Who answers on a new connection; "" when nobody does."""
    return (await answer(port)).partition("location: http://")[2].partition(".test")[0]


async def test_of_two_runs_on_one_port_one_answers_and_the_other_takes_over_when_it_ends(tmp_path: Path) -> None:
    port = free_port()
    planes = {}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        planes[name] = Plane(tmp_path / name)
        await planes[name].tell(*told_by(name, port))
    async with AsyncExitStack() as second:
        async with planes["one"].resolving(), planes["one"].publishing(), planes["one"].envoy(workers=2):
            await planes["one"].converges()
            for part in (planes["two"].resolving(), planes["two"].publishing(), planes["two"].envoy(workers=2)):
                await second.enter_async_context(part)

            async def rejected() -> bool:
                return bool(await planes["two"].reports("nack"))

            await until(rejected)
            assert f"127.0.0.1:{port}" in (await planes["two"].reports("nack"))[0]["error"]
            assert Counter([await ask(port) for _ in range(100)]) == {"one": 100}
            assert not await planes["two"].reports("ack")

        async def taken() -> bool:
            return await ask(port) == "two"

        await until(taken)
        await planes["two"].converges()


async def test_a_listener_that_loses_its_port_between_bind_and_listen_says_so_and_is_tried_again(tmp_path: Path) -> None:
    """Bound, it waits for its routes before it listens; Envoy drops it then without a word to the publisher."""
    port, reports = free_port(), []
    publication = Publication(SEALER, reports.append)
    update = Engine(SEALER, EngineSettings()).apply(change_set(*told_by("one", port)), 0)
    fragments: dict[FragmentKey, Fragment | None] = {one.key: one for one in update.fragments.set.values()}
    listeners = {key: one for key, one in fragments.items() if key.kind is FragmentKind.LISTENER}
    plane = Plane(tmp_path)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        publication.apply(listeners, 0)
        async with serve(publication, f"unix:{plane.socket}", lambda *_: True), plane.envoy():

            async def acknowledged() -> bool:
                return any(one.event == "ack" for one in reports)

            async def rejected() -> Any:
                return next((one.rejection for one in reports if one.event == "nack"), None)

            await until(acknowledged)
            assert not await rejected()
            other.listen()
            publication.apply(fragments, 1)
            await until(rejected)
            assert taken((await rejected()).error) == f"127.0.0.1:{port}"
            other.close()
            (stream,) = publication._streams[GATEWAY]
            stream.session.again(await rejected())
            stream.wake.set()

            async def serves() -> bool:
                return await ask(port) == "one"

            await until(serves)


async def test_a_listener_that_changes_keeps_its_port(tmp_path: Path) -> None:
    """Envoy hands the one socket on, whether it changes a listener in place or puts another in its stead."""
    plane, port = Plane(tmp_path), free_port()
    plain = {"name": "a", "port": port, "protocol": "HTTP"}
    tls = {"name": "a", "port": port, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}}
    other = {**tls, "name": "b", "hostname": "b.test"}
    await plane.tell(gateway("gw", plain), certificate())
    async with plane.resolving(), plane.publishing(), plane.envoy(workers=2):
        await plane.converges()
        for generation, listeners in enumerate([(tls,), (tls, other), (plain,)], 2):
            await plane.tell(gateway("gw", *listeners, generation=generation))

            async def resolved(wanted: int = generation - 1) -> bool:
                return (await read_table(plane.log, Topic.XDS, 0)).progress >= wanted

            await until(resolved)
            await plane.converges()
        assert not await plane.reports("nack")
        assert (await answer(port)).startswith("HTTP/1.1 404")
