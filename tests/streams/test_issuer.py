"""What issuers are asked, and what of their answers is believed: a real HTTPS server says all kinds of things."""

from __future__ import annotations

import asyncio
import gc
import gzip
import ssl
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from streams.main import discovery
from streams.memory import MemoryLog
from streams.settings import Settings
from streams.sources.discovery import NoConfiguration
from streams.sources.issuer import Issuers
from tests.support.running import free_port
from tests.support.well_known import WellKnown, certified, well_known

_PATH = "/.well-known/openid-configuration"
Place = tuple[WellKnown, Issuers]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    trusted, tls = certified(tmp_path, "127.0.0.1")
    async with well_known("127.0.0.1", free_port(), tls) as server:
        yield server, Issuers(partial(ssl.create_default_context, cafile=str(trusted)), 5.0)


async def refused(place: Place, path: str = "") -> str:
    server, issuers = place
    with pytest.raises(NoConfiguration) as told:
        await issuers.ask(server.uri + path)
    return str(told.value)


async def test_its_endpoints_are_told_and_nothing_else(place: Place) -> None:
    server, issuers = place
    server.says(jwks_uri=f"{server.uri}/keys", end_session_endpoint=f"{server.uri}/end", userinfo_endpoint="x", other=[1])
    assert await issuers.ask(server.uri) == {
        "authorizationEndpoint": f"{server.uri}/authorize",
        "tokenEndpoint": f"{server.uri}/token",
        "endSessionEndpoint": f"{server.uri}/end",
        "jwksURI": f"{server.uri}/keys",
    }
    assert server.asked == [_PATH]
    (headers,) = server.headers
    assert headers.keys().isdisjoint({"cookie", "authorization"})


@pytest.mark.parametrize("path", ["/realms/shop", "/realms/shop/"])
async def test_a_slash_at_its_end_is_left_out_of_the_path(place: Place, path: str) -> None:
    """Discovery §4.1; but of its name nothing is left out."""
    server, issuers = place
    server.says(path)
    assert (await issuers.ask(server.uri + path))["tokenEndpoint"] == f"{server.uri}{path}/token"
    assert server.asked == [f"/realms/shop{_PATH}"]
    other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
    assert "issuerURI must be that, to the letter" in await refused(place, other)


async def test_another_issuer_is_not_believed(place: Place) -> None:
    """Who lies differently each time is told of in the same words: these are kept in the log."""
    server, issuers = place
    server.says(issuer="https://other.example.com")
    told = "it says that its issuer is another one: issuerURI must be that, to the letter (the log of the role watch has it)"
    assert await refused(place) == told
    with pytest.raises(NoConfiguration) as error:
        await issuers.ask(server.uri)
    assert error.value.said == "'https://other.example.com'"
    server.says(issuer=None)
    assert await refused(place) == told


async def test_of_an_endpoint_only_so_much_is_taken(place: Place) -> None:
    place[0].says(token_endpoint="https://login.example.com/" + "a" * 2048)
    assert await refused(place) == "its token_endpoint is longer than 2048 characters"


async def test_a_redirect_is_not_followed(place: Place) -> None:
    server, _ = place

    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": f"{server.uri}/inner{_PATH}"})

    server.answers[""] = elsewhere
    server.says("/inner")
    assert "it sends elsewhere (HTTP 3xx), which is not followed" in await refused(place)
    assert server.asked == [_PATH]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<html>", "is no JSON object"),
        (b"[]", "is no JSON object"),
        (b"", "is no JSON object"),
        (b"[" * 60_000, "is no JSON object"),
        (b"\xff", "is no JSON object"),
        (b" " * 70_000, "larger than 64 KiB"),
        (gzip.compress(b"{}", mtime=0), "is no JSON object"),
    ],
)
async def test_what_is_no_document_is_said(place: Place, answer: bytes, words: str) -> None:
    place[0].answers[""] = answer
    assert words in await refused(place)


async def test_what_is_packed_is_not_unpacked(place: Place) -> None:
    async def packed(_: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b" " * (1 << 28)), headers={"content-encoding": "gzip"})

    place[0].answers[""] = packed
    assert "larger than 64 KiB" in await refused(place)


async def test_an_endpoint_that_is_no_text_is_said(place: Place) -> None:
    place[0].says(token_endpoint={"a": 1})
    assert await refused(place) == "its token_endpoint is no text"


async def test_a_status_is_said_by_its_class(place: Place) -> None:
    """There are hundreds, and an issuer chooses."""
    with pytest.raises(NoConfiguration) as error:
        await place[1].ask(place[0].uri)
    assert (str(error.value), error.value.said) == ("it answers with HTTP 4xx", "404")


async def test_one_that_never_ends_is_not_waited_for(place: Place) -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    server, issuers = place
    server.answers[""] = slowly
    assert await refused((server, Issuers(issuers.certificates, 0.5))) == "it does not answer within 0.5 s"


async def test_whose_certificate_is_not_trusted_is_not_asked(place: Place) -> None:
    server, _ = place
    server.says()
    assert "its certificate is not trusted" in await refused((server, Issuers()))
    assert server.asked == []


async def test_one_that_is_away_cannot_be_reached(place: Place) -> None:
    uri = f"https://127.0.0.1:{free_port()}"
    with pytest.raises(NoConfiguration, match="cannot be reached over HTTPS"):
        await place[1].ask(uri)
    with pytest.raises(NoConfiguration, match="cannot be reached over HTTPS"):
        await place[1].ask("https://no-such-host.invalid")



async def test_certificates_are_read_once_and_beside_the_loop(place: Place) -> None:
    """Of a system they are some hundred, read in 27 ms."""
    server, issuers = place
    server.says()
    read: list[int] = []

    def certificates() -> ssl.SSLContext:
        read.append(threading.get_ident())
        return issuers.certificates()

    ours = Issuers(certificates, 5.0)
    await asyncio.gather(*(ours.ask(server.uri) for _ in range(3)))
    await ours.ask(server.uri)
    assert len(read) == 1
    assert read != [threading.get_ident()]


async def test_the_role_reads_them_once(tmp_path: Path) -> None:
    def contexts() -> set[int]:
        gc.collect()
        return {id(one) for one in gc.get_objects() if isinstance(one, ssl.SSLContext)}

    ask, before = discovery(Settings(data=tmp_path), MemoryLog()).ask, contexts()
    found: list[set[int]] = []
    for _ in range(2):
        with pytest.raises(NoConfiguration):
            await ask(f"https://127.0.0.1:{free_port()}")
        found.append(contexts() - before)
    assert len(found[0]) == 1
    assert found[0] == found[1]


async def test_few_are_asked_at_once_and_waiting_for_others_costs_none_its_time(place: Place) -> None:
    server, issuers = place
    now: list[int] = [0, 0]

    async def slowly(request: web.Request) -> web.StreamResponse:
        now[0] += 1
        now[1] = max(now)
        await asyncio.sleep(0.2)
        now[0] -= 1
        return web.json_response({"issuer": server.uri + request.path.removesuffix(_PATH)})

    server.answers = {f"/{number}": slowly for number in range(40)}
    ours = Issuers(issuers.certificates, 0.9)
    await asyncio.gather(*(ours.ask(server.uri + path) for path in server.answers))
    assert now[1] == 8  # noqa: PLR2004
