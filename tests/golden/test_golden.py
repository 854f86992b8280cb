"""Golden cases: what the engine makes of an input, and what the real Envoy answers with it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.golden.case import (
    CASES,
    FILES,
    LOG_FILE,
    OBSERVED,
    OTHER,
    PLACEHOLDER,
    STEPS,
    Request,
    as_yaml,
    envoy_of,
    names,
    others,
    requests_of,
    resolve,
    standing,
    status_of,
)
from tests.support.backend import Backend, backends
from tests.support.client import Answer, Ask, Connection, ask
from tests.support.datagram import answering, send
from tests.support.grpc import call
from tests.support.proxy import port_of, proxies

UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
"""Rewrites envoy.yaml and status.yaml (`make golden`)."""
_TOLERANCE = 0.07
_SECONDS = 60.0
_DATAGRAMS = 100
"""At once: of more the socket's buffer loses some."""
Send = Callable[[str, int, Ask], Awaitable[Answer]]
_SENDERS: dict[str, Send] = {"grpc": call, "grpcs": call, "udp": send}


@pytest.mark.parametrize("name", names())
def test_golden(name: str) -> None:
    """The engine says what is written."""
    golden = resolve(CASES / name)
    for file, text in (("envoy.yaml", envoy_of(golden)), ("status.yaml", status_of(golden))):
        path = CASES / name / file
        if UPDATE:
            path.write_text(text)
        assert path.read_text() == text, f"{path} differs: make golden, then read the difference"


def test_standing() -> None:
    """The filters that every case names in one word."""
    path = CASES.parent / "standing.yaml"
    text = as_yaml(standing())
    if UPDATE:
        path.write_text(text)
    assert path.read_text() == text, f"{path} differs: make golden, then read the difference"


def test_nothing_else_lies_in_the_cases() -> None:
    """Orphans go on update, and are refused otherwise."""
    orphans = [file for case in CASES.iterdir() for file in case.iterdir() if not _belongs(file.name)]
    for orphan in orphans if UPDATE else ():
        orphan.unlink()
    assert UPDATE or not orphans
    assert len(names()) >= 80  # noqa: PLR2004  the number that was promised


def _belongs(name: str) -> bool:
    return name in FILES or name.endswith(OTHER)


@pytest.mark.parametrize("name", names())
def test_played(name: str, tmp_path: Path) -> None:
    """The real Envoy answers what the case expects."""
    random_ = random.SystemRandom()
    prefix = f"127.{random_.randrange(2, 250)}.{random_.randrange(1, 250)}."
    for step in (*STEPS, OBSERVED, "settings.yaml", *(one.name for one in others(CASES / name))):
        if (CASES / name / step).exists():
            text = (CASES / name / step).read_text().replace(PLACEHOLDER, prefix)
            (tmp_path / step).write_text(text.replace(LOG_FILE, str(tmp_path / "log")))
    asyncio.run(_play(tmp_path, prefix, requests_of(name, prefix)))


async def _play(folder: Path, prefix: str, requests: list[Request]) -> None:
    golden = resolve(folder)
    address = f"{prefix}254"
    async with (
        backends(_places(folder, prefix, "TCP")) as running,
        answering(_places(folder, prefix, "UDP")),
        proxies(golden.update.fragments.set, golden.sealer, address),
    ):
        for request in requests:
            await _one(request, address, running)
            await _logged(request.expect.logged, folder / "log")


async def _logged(lines: list[str], file: Path) -> None:
    """Envoy writes its logs a little after it answers."""
    try:
        async with asyncio.timeout(_SECONDS):
            while not set(lines) <= set(_lines(file)):
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        msg = f"{lines} are not all in {_lines(file)}"
        raise AssertionError(msg) from error


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _places(folder: Path, prefix: str, transport: str) -> dict[tuple[str, int], str]:
    """Where backends must stand: every loopback endpoint of the inputs, under its last number."""
    places = {}
    texts = [one.read_text() for one in (*(folder / step for step in STEPS), *others(folder)) if one.exists()]
    for document in (one for text in texts for one in _documents(text)):
        kind = document.get("kind") if isinstance(document, dict) else None
        pairs = []
        if kind == "EndpointSlice":
            ports = [one["port"] for one in document.get("ports", []) if one.get("protocol", "TCP") == transport]
            pairs = [(one, port) for end in document["endpoints"] for one in end["addresses"] for port in ports]
        elif kind == "Backend" and transport == "TCP":
            hosts = document["spec"].get("static", {}).get("hosts", [])
            pairs = [(one["host"], one["port"]) for one in hosts]
            url = urlsplit(document["spec"].get("aws", {}).get("lambda", {}).get("endpointURL", ""))
            pairs += [(url.hostname, url.port)] if url.hostname else []
        for address, port in pairs:
            if address.startswith(prefix):
                places[address, port] = address.removeprefix(prefix)
    return places


def _documents(text: str) -> list[Any]:
    """What can be read: one broken document must not hide where the others' backends stand."""
    found = []
    for part in re.split(r"^---$", text, flags=re.MULTILINE):
        with contextlib.suppress(yaml.YAMLError):
            found.append(yaml.safe_load(part))
    return found


async def _one(request: Request, address: str, running: dict[str, Backend]) -> None:
    port = port_of(request.port)
    sni = (request.host if request.sni is None else request.sni) if request.scheme in ("https", "grpcs") else None
    sender = _SENDERS.get(request.scheme, ask)
    asked = Ask(
        request.host, request.path, request.method, request.headers, sni, request.client, request.bytes, request.http10, request.proxied
    )  # fmt: skip
    expect = request.expect
    if expect.refused:
        with pytest.raises((OSError, EOFError)):
            await sender(address, port, asked)
        return
    if request.websocket:
        await _websocket(address, port, asked, expect.backend)
        return
    before = {name: len(one.seen) for name, one in running.items()}
    if expect.share:
        answers = await _answers(sender, request, address, asked)
        _check_share(expect.share, answers)
        answers = [one for one in answers if one.status]
    else:
        answers = [await sender(address, port, asked) for _ in range(request.times)]
    if expect.sticky:
        await _check_sticky(address, port, asked, answers[0])
    for answer in answers:
        _check(request, answer)
    for name in expect.mirrored:
        async with asyncio.timeout(_SECONDS):
            while len(running[name].seen) <= before[name]:
                await asyncio.sleep(0.01)
    for name, part in expect.mirrored_share.items():
        async with asyncio.timeout(_SECONDS):
            while abs((len(running[name].seen) - before[name]) / request.times - part) > _TOLERANCE:
                await asyncio.sleep(0.01)
    if expect.same:
        assert len({answer.header("x-backend") for answer in answers}) == 1, answers
    for path in expect.asked:
        async with asyncio.timeout(_SECONDS):
            while not any(seen["path"] == path for backend in running.values() for seen in backend.seen):
                await asyncio.sleep(0.01)
    for name in expect.not_mirrored:
        assert len(running[name].seen) == before[name], request


async def _answers(sender: Send, request: Request, address: str, asked: Ask) -> list[Answer]:
    """Of each request what came back, status 0 for nothing; datagrams do not wait for one another."""

    async def one() -> Answer:
        try:
            return await sender(address, port_of(request.port), asked)
        except (OSError, EOFError):
            return Answer(0, [], b"")

    at_once = _DATAGRAMS if request.scheme == "udp" else request.at_once
    answers: list[Answer] = []
    while len(answers) < request.times:
        answers += await asyncio.gather(*(one() for _ in range(min(at_once, request.times - len(answers)))))
    return answers


def _check(request: Request, answer: Answer) -> None:
    expect = request.expect
    told = f"{request}\nanswered {answer}"
    if expect.status is not None:
        assert answer.status == expect.status, told
    if expect.body is not None:
        assert answer.body.decode() == expect.body, told
    if expect.backend is not None:
        assert answer.header("x-backend") == expect.backend, told
    if expect.body is not None:
        assert answer.body.decode() == expect.body, told
    for name, value in expect.headers.items():
        assert answer.header(name) == value, told
    for name in expect.absent:
        assert answer.header(name) is None, told
    if expect.certificate is not None:
        subject = x509.load_der_x509_certificate(answer.certificate).subject
        assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == expect.certificate, told
    received = expect.received
    if received.model_fields_set:
        _check_received(request, json.loads(answer.body))


def _check_received(request: Request, seen: dict[str, object]) -> None:
    received = request.expect.received
    headers: dict[str, list[str]] = {}
    pairs = seen["headers"]
    assert isinstance(pairs, list)
    for name, value in pairs:
        headers.setdefault(name.lower(), []).append(value)
    joined = {name: ",".join(values) for name, values in headers.items()}
    for name in ("path", "method", "protocol", "client"):
        want = getattr(received, name)
        assert want is None or seen[name] == want, (request, seen)
    assert received.host is None or joined["host"] == received.host, (request, seen)
    for name, value in received.headers.items():
        assert joined.get(name.lower()) == value, (request, seen)
    for name in received.present:
        assert name.lower() in joined, (request, seen)
    for name in received.absent:
        assert name.lower() not in joined, (request, seen)


def _check_share(share: dict[str, float], answers: list[Answer]) -> None:
    counted = Counter(one.header("x-backend") or str(one.status or "refused") for one in answers)
    assert counted.keys() <= share.keys(), counted
    for name, part in share.items():
        assert abs(counted[name] / len(answers) - part) <= _TOLERANCE, counted
        assert part or not counted[name], counted


async def _check_sticky(address: str, port: int, asked: Ask, first: Answer) -> None:
    cookies = [value.partition(";")[0] for name, value in first.headers if name.lower() == "set-cookie"]
    assert cookies, first
    for _ in range(10):
        again = await ask(address, port, Ask(asked.host, asked.path, headers={"cookie": "; ".join(cookies)}))
        assert again.header("x-backend") == first.header("x-backend")


async def _websocket(address: str, port: int, asked: Ask, backend: str | None) -> None:
    key = base64.b64encode(bytes(16)).decode()
    headers = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-key": key, "sec-websocket-version": "13"}
    connection = await Connection.open(address, port, asked.sni)
    try:
        answer = await connection.ask(Ask(asked.host, asked.path, headers=headers))
        assert answer.status == 101, answer  # noqa: PLR2004
        assert backend is None or answer.header("x-backend") == backend
        connection.writer.write(b"\x81\x05hello")
        async with asyncio.timeout(_SECONDS):
            assert await connection.reader.readexactly(7) == b"\x81\x05hello"
    finally:
        connection.close()
