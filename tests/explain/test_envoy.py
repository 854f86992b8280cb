"""Explain agrees with the real Envoy on random tables of routes, delegation and policies, request by request."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass
from http.client import SWITCHING_PROTOCOLS
from pathlib import Path

import pytest
import yaml

from engine.history.explain import Answer, Kind, Outcome, Request, answer, configs
from engine.history.explain.backend import endpoints
from engine.history.explain.config import Config
from engine.history.explain.evaluator import LOCAL_REPLIES
from tests.explain.drawing import places, request, table
from tests.explain.drawing.words import OTHER
from tests.golden.case import resolve
from tests.support.backend import backends
from tests.support.client import Answer as Got
from tests.support.client import Connection
from tests.support.proxy import proxies

REQUESTS = int(os.environ.get("EXPLAIN_REQUESTS", "500"))
_EACH = 250
_ENOUGH = 1000
"""So many have everything in them; those of one or two tables need not."""
_LANES = 10
_SEED = int(os.environ.get("EXPLAIN_SEED", "40001000"))
_MAY = {"envoy.filters.http.rbac": 403, "ratelimit/local": 429, LOCAL_REPLIES: 410}
"""What a filter answers of which explain says that it may, and what the drawn mapper makes of 404."""
_OF_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
_UNKNOWN = 2
"""Statuses of gRPC by those of HTTP, as Envoy tells them in answers of its own."""
_MISSED = {Kind.NOT_FOUND}


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
        found = [(one, text) for one in cases if (text := _disagreement(config, one))]
        wrong += [f"EXPLAIN_SEED={_SEED + number}: {one.request} -> {text}, not {one.said.outcomes}" for one, text in found]
        sys.stdout.write("".join(f"{one}\n" for one in wrong[-len(found) :] if found))
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
    if total < _ENOUGH:
        return
    hit = sum(count for kind, count in kinds.items() if kind not in _MISSED)
    assert hit >= 0.5 * sum(kinds.values())
    assert kinds.keys() == set(Kind)


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
    async with backends(places(prefix), forget=True), proxies(fragments, golden.sealer, f"{prefix}254"):
        lanes = await asyncio.gather(*(_lane(config, Asking(f"{prefix}254", proxied=drawn.proxied), requests[lane::_LANES]) for lane in range(_LANES)))
    return config, [one for lane in lanes for one in lane]


class Asking:
    """A lane: it asks one request after the other, those of one kind on one connection."""

    def __init__(self, address: str, *, proxied: bool) -> None:
        self._address = address
        self._proxied = proxied
        self._open: dict[tuple[object, ...], Connection] = {}

    async def got(self, one: Request) -> Got | None:
        """The answer; None, and another connection next time, when there is none."""
        place = (one.port, one.sni, one.client, one.certificate)
        try:
            if place not in self._open:
                self._open[place] = await self._opened(one)
            got = await _answer(self._open[place], one)
        except (EOFError, OSError):
            got = None
        is_last = got is None or got.status == SWITCHING_PROTOCOLS or (got.header("connection") or "").lower() == "close"
        if is_last and place in self._open:
            self._open.pop(place).close()
        return got

    async def _opened(self, one: Request) -> Connection:
        found = await Connection.open(self._address, one.port, one.sni, certificate=one.certificate)
        if self._proxied and one.port == OTHER:
            found.writer.write(f"PROXY TCP4 {one.client} 127.0.0.1 1234 {one.port}\r\n".encode())
        return found

    def close(self) -> None:
        """Of all connections."""
        for connection in self._open.values():
            connection.close()


async def _lane(config: Config, asking: Asking, requests: list[Request]) -> list[Case]:
    found: list[Case] = []
    for one in requests:
        said = answer(config, one)
        got = await asking.got(one)
        again = got is None and not any(outcome.kind is Kind.REFUSED for outcome in said.outcomes)
        found.append(Case(one, said, await asking.got(one) if again else got, again))
    asking.close()
    return found


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
    if any(_is(config, one, case) for one in case.said.outcomes):
        return ""
    got = case.got
    if any(one in _MAY and _has_status(got, _MAY[one]) for one in case.said.undecided):
        return ""
    body = got.body[:300] if got.header("x-backend") else b""
    return f"{got.status} {got.header('x-backend')} {got.header('location')} {body!r}"


def _is(config: Config, outcome: Outcome, case: Case) -> bool:
    got = case.got
    assert got is not None
    backend = got.header("x-backend")
    if outcome.kind not in (Kind.FORWARDED, Kind.STREAMED):
        is_alike = outcome.status is not None and _has_status(got, outcome.status) and backend is None
        return is_alike and (got.header("location") or "") == outcome.location
    numbers = {one.address.rpartition(".")[2] for one in endpoints(config, outcome.cluster) or ()}
    if backend not in numbers:
        return False
    if outcome.kind is Kind.STREAMED or not got.body:
        return True
    received = json.loads(got.body)
    host = next(value for name, value in received["headers"] if name.lower() == "host")
    return outcome.path == received["path"] and outcome.host in (host, None)


def _has_status(got: Got, status: int) -> bool:
    """A call of gRPC gets 200, and its own word for the status that others get."""
    said = got.header("grpc-status")
    return got.status == status if said is None else int(said) == _OF_HTTP.get(status, _UNKNOWN)
