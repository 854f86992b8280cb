"""The real Envoy agrees with the specification on random route tables: which rule answered, not only the status."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import yaml

from tests.golden.case import resolve
from tests.routing.reference import Request, Route, answering
from tests.routing.table import manifests, request, routes
from tests.support.client import Answer, Ask, Connection
from tests.support.proxy import proxies

TABLES = int(os.environ.get("ROUTING_TABLES", "15"))
REQUESTS = 300
LANES = 25
_SEED = 20261124
_MATCHED = 0.6
_NEAR = 0.2


def test_envoy_agrees_with_the_specification(tmp_path: Path) -> None:
    """Thousands of requests, of which most match something and many nearly match something else."""
    matched = 0
    for number in range(TABLES):
        folder = tmp_path / str(number)
        folder.mkdir()
        seed = random.Random(_SEED + number)  # noqa: S311  not for secrets
        table = routes(seed, seed.choice((2, 5, 12, 30)))
        requests = [request(seed, table) for _ in range(REQUESTS)]
        wrong = asyncio.run(_differences(folder, table, requests))
        assert not wrong, f"seed {_SEED + number}: {wrong[:3]} in {table}"
        matched += sum(answering(table, one) is not None for one in requests)
    total = TABLES * REQUESTS
    assert matched >= _MATCHED * total
    assert total - matched >= 0.05 * total  # noqa: PLR2004  a table that takes everything judges nothing


def test_requests_are_near_misses() -> None:
    """At least a fifth of the requests would be answered otherwise if a single part of them were left out."""
    near = total = 0
    for number in range(TABLES):
        seed = random.Random(_SEED + number)  # noqa: S311
        table = routes(seed, seed.choice((2, 5, 12, 30)))
        for one in [request(seed, table) for _ in range(REQUESTS)]:
            total += 1
            near += any(answering(table, other) != answering(table, one) for other in _neighbours(one))
    assert near >= _NEAR * total


def _neighbours(one: Request) -> list[Request]:
    return [
        Request(one.host, (one.path.rstrip("/") or "/") + "x", one.query, one.method, one.headers),
        Request(one.host, one.path, "", one.method, one.headers),
        Request(one.host, one.path, one.query, one.method, ()),
        Request(one.host, one.path, one.query, "PATCH", one.headers),
    ]


async def _differences(
    folder: Path, table: list[Route], requests: list[Request]
) -> list[tuple[Request, str | None, str | None]]:
    (folder / "input.yaml").write_text(yaml.safe_dump_all(manifests(table)))
    golden = resolve(folder)
    assert not golden.refused
    seed = random.SystemRandom()
    address = f"127.{seed.randrange(2, 250)}.{seed.randrange(1, 250)}.254"
    async with proxies(golden.update.fragments.set, golden.sealer, address):
        lanes = await asyncio.gather(*(_lane(address, table, requests[lane::LANES]) for lane in range(LANES)))
    return [one for lane in lanes for one in lane]


async def _lane(
    address: str, table: list[Route], requests: list[Request]
) -> list[tuple[Request, str | None, str | None]]:
    """One long-lived connection's share of the requests."""
    wrong = []
    connection = await Connection.open(address, 8080)
    for one in requests:
        path = f"{one.path}?{one.query}" if one.query else one.path
        told = _told(await connection.ask(Ask(one.host, path, one.method, dict(one.headers))))
        want = answering(table, one)
        if told != want:
            wrong.append((one, want, told))
    connection.close()
    return wrong


def _told(answer: Answer) -> str | None:
    """The rule that answered."""
    location = answer.header("location")
    if location is None:
        return None
    name = location.split("/")[2].partition(":")[0]
    return name.replace(".rule-", "/")
