"""Nothing is lost, applied twice or answered wrongly, whatever is killed when: real Kafka, real Envoy.

CHAOS_KILLS sets how many times it strikes, CHAOS_SEED repeats the order of a campaign (when things happen is never the
same twice).
"""

from __future__ import annotations

import asyncio
import http.client
import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.seal import Sealer
from engine.status.condition import is_good
from streams.broker import Broker
from streams.cli.commands.replay import digest_of
from streams.codec import decode_fragment
from streams.kafka import KafkaLog
from streams.main import engine_settings
from streams.settings import Settings
from streams.topics import Topic
from streams.view import read_table
from streams.xds.assembly import Assembly
from tests.chaos.campaign import Campaign
from tests.chaos.ledger import Audit, against, audit, fold, fragments, read_topics
from tests.chaos.outage import Outage, excused, outages
from tests.chaos.stream import Place, Stream
from tests.chaos.strikes import Victim, strikes
from tests.e2e import dumped
from tests.e2e.site import Site
from tests.load.lanes import World
from tests.support.load import Traffic, traffic
from tests.support.running import START_SECONDS, free_port, tidy, until
from tests.support.traffic import Answer, Plan, Seen
from tests.support.verdict import Verdict, judge
from tests.support.written import below, gateway, put, route, service

_KILLS = int(os.environ.get("CHAOS_KILLS", "20"))
_SEED = int(os.environ.get("CHAOS_SEED", "") or random.SystemRandom().randrange(1 << 32))
_STAY = 12
_BACKENDS = 4
_SECONDS = 240.0


@pytest.mark.timeout(900 + 60 * _KILLS)
def test_nothing_is_lost_twice_or_wrong_whatever_is_killed(tmp_path: Path) -> None:
    print(f"\n{_KILLS} kills, CHAOS_SEED={_SEED}", flush=True)  # noqa: T201  to repeat it
    site = Site(tmp_path, free_port())
    site.manifests.mkdir()
    ports = {f"be-{number}": free_port() for number in range(_BACKENDS)} | {"socket": free_port()}
    _write_base(site, ports)
    plan = Plan(site.port, str(tmp_path / "seen"), ports, connections=6, rate=150.0, new_rate=40.0)
    with tidy(site.data), traffic(plan) as load:
        site.start()
        until(lambda: _asked(site.port, ("stays-1.example", "/")).status == 200, START_SECONDS, lambda: site.printed)
        world = World(site.manifests, ports, load)
        _ask_for_what_stays(world)
        stream = Stream(world, random.Random(f"{_SEED}-changes"))
        stream.begin()
        campaign = Campaign(site, stream)
        began = time.monotonic()
        for number, strike in enumerate(strikes(_SEED, _KILLS), 1):
            print(f"{number:4} {campaign.strike(strike)}", flush=True)  # noqa: T201  where it stands
        seconds = time.monotonic() - began
        _everything_is_served(site, stream, load)
        progress = _settled(site)
        found = _topics_are_right(site, progress)
        seen = load.end()
        site.ends()
    windows = outages(campaign.deaths, seen)
    judged, lost = excused(seen, windows)
    verdict = judge(judged, world.histories)
    outcome = _Outcome(campaign, seconds, found, verdict, windows, len(lost))
    print(outcome.said(), flush=True)  # noqa: T201  the numbers
    assert verdict.wrong == [], f"{len(verdict.wrong)} wrong: {verdict.wrong[:20]}"
    outcome.enough_was_seen(seen)


def _write_base(site: Site, ports: dict[str, int]) -> None:
    services = [service(name, at) for name, at in ports.items() if name != "socket"]
    socket = [
        service("socket", ports["socket"], "kubernetes.io/ws"),
        route("socket", ("socket.example", "/"), "socket", "socket"),
    ]
    put(site.manifests, "gateway.yaml", [gateway(site.port), *services, *socket])
    stay = [route(name, place, answer.backend, answer.version) for name, (place, answer) in _stays().items()]
    put(site.manifests, "stays.yaml", stay)


def _stays() -> dict[str, tuple[Place, Answer]]:
    """Routes that are never changed: where they are asked for, and their answers; every second has its own host."""
    return {
        f"stays-{at}": (
            (f"stays-{at}.example", "/") if at % 2 else ("shared.example", f"/stays-{at}"),
            Answer(200, f"be-{at % _BACKENDS}", f"stays-{at}"),
        )
        for at in range(_STAY)
    }


def _ask_for_what_stays(world: World) -> None:
    for name, (_, answer) in _stays().items():
        world.wants(name, answer)
    world.wants("open-socket", Answer(101, "socket", "socket"))
    steady = {name: place for name, (place, _) in _stays().items()}
    world.traffic.tell(steady=steady, connect=world.traffic.plan.connections, sockets={"open-socket": "socket.example"})


def _asked(port: int, place: Place) -> Answer:
    """An answer on a connection of its own; status 0 when there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", place[1], headers={"host": place[0]})
        found = connection.getresponse()
        return Answer(found.status, found.getheader("x-backend") or "", found.getheader("x-version") or "")
    except (OSError, http.client.HTTPException):
        return Answer(0)
    finally:
        connection.close()


def _everything_is_served(site: Site, stream: Stream, load: Traffic) -> None:
    """The last state of every target that was ever changed is what Envoy answers, deleted ones too."""
    until(stream.is_served, _SECONDS, lambda: f"{stream.unserved()}\n{site.printed[-6000:]}")
    assert load.process.poll() is None
    for target, (host, path) in stream.places.items():
        wanted = stream.last(target)
        paths = (path, below(path)) if target.startswith("lane-") else (path,)
        for one in paths:
            assert _asked(site.port, (host, one)) == wanted, f"{target} at {host}{one}"


def _settled(site: Site) -> int:
    """Wait until everything is resolved, taken by the proxy and said so of every object; the offset."""

    def is_settled() -> bool:
        found = site.tells("status")
        taken = [one for one in found["proxies"] if one["connected"] and not one["behind"]]
        unmet = [one for row in found["objects"] for one in row["conditions"] if not is_good(one)]
        return not found["log"]["behind"] and len(taken) == 1 and not unmet

    until(is_settled, _SECONDS, lambda: f"{site.tells('status')}\n{site.printed[-6000:]}")
    return int(site.tells("status")["log"]["resolved"])


def _topics_are_right(site: Site, progress: int) -> Audit:
    """Every record of every output, the fragments' table, `penstock replay`, and what Envoy says it runs."""
    log = KafkaLog(Broker(site.data / "broker").address())
    sealer = Sealer((site.data / "keys" / "sealing.key").read_bytes())
    engine = Engine(sealer, engine_settings(Settings(data=site.data)))
    topics = asyncio.run(read_topics(log))
    found = audit(topics)
    assert found.wrong == []
    assert against(fold(topics[Topic.CHANGES], engine), topics) == []
    assert engine.offset == progress == topics[Topic.CHANGES][-1].offset
    clean = fragments(engine)
    table = asyncio.run(read_table(log, Topic.XDS, 0))
    assert {name: decode_fragment(row) for name, row in table.rows.items()} == clean
    digest = digest_of(clean.values())
    for options in ((), ("--live",)):
        assert site.tells("replay", *options) == {"offset": progress, "fragments": len(clean), "digest": digest}
    assembly = Assembly(sealer)
    assembly.apply({one.key: one for one in clean.values()}, progress)
    runs, wanted = dumped.runs(site.tells("dump", "gw")), dumped.wanted(assembly)
    for said, one in zip(runs, wanted, strict=True):
        assert {at: value for at, value in said.items() if one.get(at) != value} == {}
        assert said == one
    return found


@dataclass(frozen=True)
class _Outcome:
    """What came of a campaign; `lost` are the connections that dead proxies cost."""

    campaign: Campaign
    seconds: float
    audit: Audit
    verdict: Verdict
    outages: list[Outage]
    lost: int

    def said(self) -> str:
        """The numbers."""
        killed = ", ".join(f"{count} {one.name.lower()}" for one, count in sorted(self.campaign.killed.items()))
        away = max((one.end - one.begin for one in self.outages), default=0.0)
        served = sorted(self.campaign.served)
        return (
            f"{killed} killed in {self.seconds:.0f} s, {self.campaign.stream.world.changes} changes made; "
            f"a change was served {served[len(served) // 2]:.1f} s after a kill, at most {served[-1]:.1f}\n"
            f"log: {self.audit.offsets} offsets, {self.audit.records} records, "
            f"repeats dropped: {dict(self.audit.repeats) or 'none'}\n"
            f"requests: {dict(self.verdict.requests)}, {self.verdict.states()} states seen, {self.lost} connections "
            f"lost while Envoy was dead, {len(self.outages)} times for at most {away:.1f} s"
        )

    def enough_was_seen(self, seen: list[Seen]) -> None:
        """What was not looked at cannot be called right."""
        killed, world = self.campaign.killed, self.campaign.stream.world
        assert killed.total() >= _KILLS
        assert _KILLS < 20 or set(killed) == set(Victim)
        assert world.changes > _KILLS
        assert len(self.outages) == len(self.campaign.deaths)
        assert min(self.verdict.requests.values()) > 20 * _KILLS
        asked = Counter(one.target for one in seen if one.answer.status)
        assert min(asked[name] for name in [*_stays(), "open-socket", "pulse", "moving"]) > _KILLS
        assert len(world.histories["pulse"].states) - 1 in self.verdict.witnessed["pulse"]
