"""Explain agrees with the real Envoy on random tables of routes, delegation and policies, request by request."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from engine.history.explain import Answer, Kind, Outcome, Request, answer, configs
from engine.history.explain.backend import endpoints
from engine.history.explain.config import Config
from tests.explain.drawing import BACKEND_PORT, BACKENDS, request, table
from tests.golden.case import resolve
from tests.support.backend import backends
from tests.support.client import Answer as Got
from tests.support.client import Connection
from tests.support.proxy import proxies

REQUESTS = int(os.environ.get("EXPLAIN_REQUESTS", "500"))
_EACH = 250
_LANES = 10
_SEED = int(os.environ.get("EXPLAIN_SEED", "20261127"))
_MISSED = {Kind.NOT_FOUND, Kind.REFUSED, Kind.INVALID}


@dataclass(frozen=True, slots=True)
class Case:
    """A request, what explain says of it, and what Envoy answered; None where it is refused.

    `again`: the connection broke or the answer did not come in time at first, which explain does not say, so the
    request was sent once more; what comes then counts.
    """

    request: Request
    said: Answer
    got: Got | None
    again: bool = False


@pytest.mark.timeout(600 + REQUESTS)
def test_explain_agrees_with_envoy(tmp_path: Path) -> None:
    """`EXPLAIN_REQUESTS=10000 make explain` asks as many; a table's seed is in what fails."""
    kinds: Counter[Kind] = Counter()
    filters: Counter[str] = Counter()
    wrong: list[str] = []
    undecided = again = total = 0
    for number in range(-(-REQUESTS // _EACH)):
        folder = tmp_path / str(number)
        folder.mkdir()
        config, cases = asyncio.run(_asked(folder, random.Random(_SEED + number)))
        wrong += [
            f"EXPLAIN_SEED={_SEED + number}: {one.request} -> {text}, not {one.said.outcomes}"
            for one in cases
            if (text := _disagreement(config, one))
        ]
        kinds.update(outcome.kind for one in cases for outcome in one.said.outcomes)
        filters.update(outcome.by for one in cases for outcome in one.said.outcomes if outcome.by)
        total += len(cases)
        undecided += sum(bool(one.said.undecided) for one in cases)
        again += sum(one.again for one in cases)
    sys.stdout.write(
        f"\nEXPLAIN_SEED={_SEED}: {total - len(wrong)} of {total} requests agree: {dict(kinds)}; "
        f"filters {dict(filters)}; undecided {undecided}; asked again {again}\n"
    )
    assert not wrong, "\n".join([f"{len(wrong)} of {total}", *wrong[:20]])
    if REQUESTS <= _EACH:
        return  # One table need not have everything.
    hit = sum(count for kind, count in kinds.items() if kind not in _MISSED)
    assert hit >= 0.5 * sum(kinds.values())
    assert {Kind.NOT_FOUND, Kind.REDIRECTED, Kind.DIRECT, Kind.FORWARDED, Kind.UNSERVED, Kind.FILTERED} <= kinds.keys()


async def _asked(folder: Path, seed: random.Random) -> tuple[Config, list[Case]]:
    system = random.SystemRandom()
    prefix = f"127.{system.randrange(2, 250)}.{system.randrange(1, 250)}."
    drawn = table(seed, prefix)
    (folder / "input.yaml").write_text(yaml.safe_dump_all(drawn.documents))
    golden = resolve(folder)
    assert not golden.refused, golden.refused
    fragments = golden.update.fragments.set
    (config,) = configs(fragments, golden.sealer).values()
    requests = [request(seed, drawn) for _ in range(_EACH)]
    places = {(f"{prefix}{number}", BACKEND_PORT): str(number) for number in range(1, len(BACKENDS) + 1)}
    async with backends(places, forget=True), proxies(fragments, golden.sealer, f"{prefix}254"):
        lanes = await asyncio.gather(*(_lane(config, f"{prefix}254", requests[lane::_LANES]) for lane in range(_LANES)))
    return config, [one for lane in lanes for one in lane]


async def _lane(config: Config, address: str, requests: list[Request]) -> list[Case]:
    """A share of the requests, those of one port and TLS name on one connection."""
    found: list[Case] = []
    open_: dict[tuple[int, str | None], Connection] = {}
    for one in requests:
        said = answer(config, one)
        got = await _got(address, open_, one)
        again = got is None and not any(outcome.kind is Kind.REFUSED for outcome in said.outcomes)
        found.append(Case(one, said, await _got(address, open_, one) if again else got, again))
    for connection in open_.values():
        connection.close()
    return found


async def _got(address: str, open_: dict[tuple[int, str | None], Connection], one: Request) -> Got | None:
    """The answer on the connection that is open for it; None, and another one next time, when there is none."""
    place = (one.port, one.sni)
    try:
        if place not in open_:
            open_[place] = await Connection.open(address, *place)
        got = await _answer(open_[place], one)
    except (EOFError, OSError):
        got = None
    if (got is None or (got.header("connection") or "").lower() == "close") and place in open_:
        open_.pop(place).close()
    return got


async def _answer(connection: Connection, one: Request) -> Got:
    """Headers as a list: several may have one name."""
    lines = [f"{one.method} {one.path} HTTP/1.1", f"host: {one.host}"]
    lines += [f"{name}: {value}" for name, value in one.headers]
    connection.writer.write("\r\n".join([*lines, "", ""]).encode())
    return await asyncio.wait_for(connection._answer(one.method), 60)


def _disagreement(config: Config, case: Case) -> str:
    """What Envoy answered that none of the outcomes is; "" where one is."""
    if case.got is None:
        return "" if any(one.kind is Kind.REFUSED for one in case.said.outcomes) else "refused"
    if any(_is(config, one, case.got) for one in case.said.outcomes):
        return ""
    if case.said.undecided and case.got.status == 403:
        return ""
    got = case.got
    body = got.body[:300] if got.header("x-backend") else b""
    return f"{got.status} {got.header('x-backend')} {got.header('location')} {body!r}"


def _is(config: Config, outcome: Outcome, got: Got) -> bool:
    if outcome.kind is not Kind.FORWARDED:
        is_alike = got.status == outcome.status and got.header("x-backend") is None
        return is_alike and (got.header("location") or "") == outcome.location
    numbers = {one.address.rpartition(".")[2] for one in endpoints(config, outcome.cluster) or ()}
    if got.header("x-backend") not in numbers:
        return False
    received = json.loads(got.body)
    host = next(value for name, value in received["headers"] if name.lower() == "host")
    return (outcome.path, outcome.host) == (received["path"], host)
