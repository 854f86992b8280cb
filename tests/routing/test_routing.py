"""The real Envoy agrees with the specification on random route tables: which rule answered, not only the status."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import yaml

from tests.golden.case import resolve
from tests.routing.reference import MISDIRECTED, REFUSED, Request, Table, answering
from tests.routing.table import request, table
from tests.routing.written import HTTP, HTTPS, manifests
from tests.support.client import Answer, Ask, Connection
from tests.support.proxy import proxies

TABLES = int(os.environ.get("ROUTING_TABLES", "12"))
REQUESTS = 300
LANES = 25
_SEED = 20261124
_MATCHED = 0.6
_NEAR = 0.2


def _drawn(number: int) -> tuple[Table, list[Request]]:
    seed = random.Random(_SEED + number)
    drawn = table(seed)
    return drawn, [request(seed, drawn) for _ in range(REQUESTS)]


def test_envoy_agrees_with_the_specification(tmp_path: Path) -> None:
    """Thousands of requests, of which most match something and many nearly match something else."""
    matched = 0
    told: set[str | None] = set()
    for number in range(TABLES):
        folder = tmp_path / str(number)
        folder.mkdir()
        drawn, requests = _drawn(number)
        wrong = asyncio.run(_differences(folder, drawn, requests))
        assert not wrong, f"seed {_SEED + number}: {wrong[:3]} in {drawn}"
        answers = [answering(drawn, one) for one in requests]
        told |= {*answers}
        matched += sum(one not in {None, MISDIRECTED, REFUSED} for one in answers)
    total = TABLES * REQUESTS
    assert matched >= _MATCHED * total, matched / total
    assert total - matched >= 0.05 * total  # a table that takes everything judges nothing
    assert {None, MISDIRECTED, REFUSED} <= told


def test_requests_are_near_misses() -> None:
    """At least a fifth of the requests would be answered otherwise if a single part of them were left out."""
    near = total = 0
    for number in range(TABLES):
        drawn, requests = _drawn(number)
        for one in requests:
            total += 1
            near += any(answering(drawn, other) != answering(drawn, one) for other in _neighbours(one))
    assert near >= _NEAR * total


def test_regular_expressions_decide() -> None:
    """Enough of the answers come from a match with one, in a path, a header or a query parameter."""
    kinds = {"path": 0, "header": 0, "query": 0}
    for number in range(TABLES):
        drawn, requests = _drawn(number)
        rules = {f"{one.name}/{index}": rule for one in drawn.routes for index, rule in enumerate(one.rules)}
        for one in requests:
            for match in rules.get(answering(drawn, one) or "", ()):
                kinds["path"] += match.path_type == "RegularExpression"
                kinds["header"] += any(text.regex for text in match.headers)
                kinds["query"] += any(text.regex for text in match.query)
    assert min(kinds.values()) >= 0.03 * TABLES * REQUESTS, kinds


def _neighbours(one: Request) -> list[Request]:
    return [
        Request(one.host, (one.path.rstrip("/") or "/") + "x", one.query, one.method, one.headers, one.sni),
        Request(one.host, one.path, "", one.method, one.headers, one.sni),
        Request(one.host, one.path, one.query, one.method, (), one.sni),
        Request(one.host, one.path, one.query, "PATCH", one.headers, one.sni),
    ]


async def _differences(
    folder: Path, drawn: Table, requests: list[Request]
) -> list[tuple[Request, str | None, str | None]]:
    (folder / "input.yaml").write_text(yaml.safe_dump_all(manifests(drawn)))
    golden = resolve(folder)
    assert not golden.refused
    seed = random.SystemRandom()
    address = f"127.{seed.randrange(2, 250)}.{seed.randrange(1, 250)}.254"
    async with proxies(golden.update.fragments.set, golden.sealer, address):
        lanes = await asyncio.gather(*(_lane(address, drawn, requests[lane::LANES]) for lane in range(LANES)))
    return [one for lane in lanes for one in lane]


async def _lane(address: str, drawn: Table, requests: list[Request]) -> list[tuple[Request, str | None, str | None]]:
    """A share of the requests, those of one TLS name on one long-lived connection."""
    wrong = []
    connections: dict[str | None, Connection | None] = {}
    for one in requests:
        if one.sni not in connections:
            connections[one.sni] = await _opened(address, one.sni)
        connection = connections[one.sni]
        path = f"{one.path}?{one.query}" if one.query else one.path
        asked = Ask(one.host, path, one.method, dict(one.headers), one.sni)
        told = REFUSED if connection is None else _told(await connection.ask(asked))
        want = answering(drawn, one)
        if told != want:
            wrong.append((one, want, told))
    for connection in connections.values():
        if connection is not None:
            connection.close()
    return wrong


async def _opened(address: str, sni: str | None) -> Connection | None:
    """None when the handshake is refused; plain connections are taken always."""
    try:
        return await Connection.open(address, HTTP if sni is None else HTTPS, sni)
    except OSError:
        if sni is None:
            raise
        return None


def _told(answer: Answer) -> str | None:
    """The rule that answered."""
    location = answer.header("location")
    if location is None:
        return MISDIRECTED if str(answer.status) == MISDIRECTED else None
    name = location.split("/")[2].partition(":")[0]
    return name.replace(".rule-", "/")
