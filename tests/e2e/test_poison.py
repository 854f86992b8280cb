"""One route that no Envoy takes, among many: nobody else notices, its status says why, through restarts of everything.

POISON_ROUTES is how many; `make poison` asks for 5,000.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.update import parse_fragment_key
from streams.topics import Topic, split_key
from tests.e2e.site import Site
from tests.e2e.trouble import log_of
from tests.support import lenient
from tests.support.running import processes, until

pytestmark = [pytest.mark.kafka, pytest.mark.envoy, pytest.mark.timeout(1800)]
_ROUTES = int(os.environ.get("POISON_ROUTES", "300"))
_HOSTS = 100
_FILES = 20
_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: gw}}]
  hostnames: [{host}]
  rules:
  - matches: [{{path: {{type: {type}, value: "{path}"}}}}]
    filters:
    - {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-route, value: {said}}}]}}}}
    backendRefs: [{{name: be, port: 80}}]
---"""
_POISON = "h0.example.com", "/poison/x"
_BAD = "/poison/[x"
Place = tuple[str, str]


def _name(number: int) -> str:
    return f"r{number}"


def _places() -> dict[Place, str]:
    """What is asked, and the x-route of the right answer."""
    return {(f"h{one % _HOSTS}.example.com", f"/p{one}"): _name(one) for one in range(_ROUTES)}


def _poison(site: Site, path: str, said: str) -> float:
    """Write the one route; answers when."""
    begun = time.time()
    site.write(
        "poison.yaml",
        _ROUTE.format(name="poison", host=_POISON[0], type="RegularExpression", path=path, said=said),
    )
    return begun


@dataclass
class _Traffic:
    """What was asked all along: `wrong` is what was answered otherwise than the route says; `lost` got no answer."""

    site: Site
    expected: dict[Place, str]
    counted: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[Place, int, str]] = field(default_factory=list)

    def ask(self, connection: http.client.HTTPConnection, place: Place) -> None:
        try:
            connection.request("GET", place[1], headers={"host": place[0]})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self.counted["lost"] += 1
            connection.close()
            return
        self.counted["answered"] += 1
        found = answer.status, answer.getheader("x-route", "")
        if found != (200, self.expected[place]):
            self.wrong.append((place, *found))

    def all(self) -> None:
        """Ask every route once."""
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=30)
        for place in self.expected:
            self.ask(connection, place)
        connection.close()


@contextmanager
def _asked(site: Site, expected: dict[Place, str]) -> Iterator[_Traffic]:
    """Two clients that ask at random all along; the poisoned place always among what is asked."""
    traffic, over = _Traffic(site, expected), threading.Event()

    def ask(seed: int) -> None:
        dice, places = random.Random(seed), list(expected)
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
        while not over.wait(0.004):
            traffic.ask(connection, dice.choice([_POISON, dice.choice(places), dice.choice(places)]))
        connection.close()

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_one_bad_route_among_many_harms_nobody_and_is_told(site: Site) -> None:
    expected = _places() | {_POISON: "good"}
    site.populate()
    (site.manifests / "route.yaml").unlink()
    for number in range(_FILES):
        mine = [(place, said) for at, (place, said) in enumerate(_places().items()) if at % _FILES == number]
        texts = [_ROUTE.format(name=said, host=host, type="Exact", path=path, said=said) for (host, path), said in mine]
        site.write(f"routes-{number}.yaml", "".join(texts))
    _poison(site, "/poison/x", "good")
    _start(site, expected)

    with _asked(site, expected) as traffic:
        begun = _poison(site, _BAD, "bad")
        told = asyncio.run(_fallen_back(site, begun)) - begun
        traffic.all()
        _is_held(site)
    assert not traffic.wrong
    assert not traffic.counted["lost"]
    said = f"{_ROUTES} routes: its reason in its status {told:.3f} s after it was written"
    course = asyncio.run(_course(site, begun))
    print(f"\n{said} ({course}); {dict(traffic.counted)}, 0 wrong")  # noqa: T201  the numbers

    with _asked(site, expected) as traffic:
        for pid in processes(site.data):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not processes(site.data), 60)
        _start(site, expected)
        traffic.all()
        _is_held(site)
    assert not traffic.wrong
    print(f"all killed and started again: {dict(traffic.counted)}, 0 wrong")  # noqa: T201  the numbers

    _poison(site, "/poison/[x]", "mended")
    until(lambda: site.ask(_POISON[1], host=_POISON[0]) == (200, "mended"), 120, lambda: site.printed)
    assert site.call("quarantine", "list").stdout == "nothing is in quarantine\n"
    site.ends()


def _start(site: Site, expected: dict[Place, str]) -> None:
    lenience = os.pathsep.join([str(Path(lenient.__path__[0])), os.environ.get("PYTHONPATH", "")])
    site.start(env={"PYTHONPATH": lenience})
    last = list(expected)[-2]
    until(lambda: site.ask(last[1], host=last[0]) == (200, expected[last]), 600, lambda: site.printed)
    # Its broker may be starting yet.
    until(lambda: site.call("wait", "now", "--gateway", "gw").returncode == 0, 600, lambda: site.printed)


def _is_held(site: Site) -> None:
    (held,) = site.tells("quarantine", "list")
    assert "missing ]" in held["error"]
    (guilty,) = held["objects"]
    assert (guilty["ref"].rpartition("/")[2], guilty["runs"], guilty["rejected"]) == ("poison", 1, 2)
    assert parse_fragment_key(held["fragment"]).gateway.name == "gw"
    status = site.call("status", "HTTPRoute/poison").stdout
    assert (
        "Gateway default/gw serves the last good revision (generation 1), because a proxy rejected this one" in status
    )
    # The change was never run as it was written: who waits for it is told so.
    waited = site.call("wait", str(guilty["offset"]))
    assert (waited.returncode, "HTTPRoute/default/poison is held" in waited.stderr) == (1, True), waited


async def _fallen_back(site: Site, begun: float) -> float:
    """Wait until the route's status has the reason; when it had it first, seconds since 1970.

    The topic is followed from its end on: to read it again and again would keep the machine from its work.
    """
    log = log_of(site)
    start = await log.since(Topic.STATUS, 0, int(begun * 1000))
    async with asyncio.timeout(120):
        async for records in log.follow(Topic.STATUS, 0, start):
            for one in records:
                of = split_key(one.key or b"/")[1]
                if of.endswith("/HTTPRoute/default/poison") and b"Fall Back" in (one.value or b""):
                    return one.timestamp / 1000
    raise AssertionError


async def _course(site: Site, begun: float) -> str:
    """What happened in between, in seconds after the route was written, by the times of the records."""
    log, found = log_of(site), []
    for topic, words in ((Topic.CHANGES, b"poison"), (Topic.REPORTS, b'"nack"'), (Topic.CHANGES, b'"quarantine"')):
        start = await log.since(topic, 0, int(begun * 1000))
        times = [
            one.timestamp async for some in log.read(topic, 0, start) for one in some if words in (one.value or b"")
        ]
        found.append(f"{times[0] / 1000 - begun:.3f}" if times else "?")
    return "in the log {}, rejected {}, judged {}".format(*found)
