"""A Kafka apart from penstock, behind TLS and SASL; every role a process of its own, the resolver twice; real traffic."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.engine import Engine
from streams.identity import sealer
from streams.kafka import KafkaLog
from streams.topics import Topic
from tests.chaos.ledger import against, audit, fold, read_topics
from tests.e2e.site import Site, answering, route
from tests.e2e.trouble import only
from tests.support.own_kafka import PASSWORD, USER, OwnKafka
from tests.support.running import START_SECONDS, Running, free_port, tidy, until

AWAY_SECONDS = float(os.environ.get("KAFKA_AWAY_SECONDS", "8"))
HAND_OVERS = int(os.environ.get("KAFKA_HAND_OVERS", "2"))
CHANGES = 20
SERVERS = ("publish", "deploy", "project")
RESOLVERS = ("resolve-a", "resolve-b")


class Plane:
    """A site that roles serve, each started alone; the second resolver has a data directory of its own."""

    def __init__(self, root: Path, kafka: OwnKafka, backend: int) -> None:
        self.site = Site(root, backend)
        self.kafka = kafka
        self._env = {**kafka.settings, "PENSTOCK_SEALING_KEY": str(self.site.data / "keys" / "sealing.key")}
        self._roles: dict[str, Running] = {}
        self._health: dict[str, int] = {}
        self.last: tuple[str, ...] = ("one",)

    def start(self) -> None:
        self.site.populate()
        assert self.call("topics").returncode == 0
        for name in RESOLVERS:
            self._resolver(name)
        for name in SERVERS:
            self._run(name, self.site.data, name)
        self._run("watch", self.site.data, "watch", f"local={self.site.manifests}")
        self.serves("one")
        for name in RESOLVERS:
            self._is_ready(name)

    def comes_back(self, name: str) -> None:
        """Start a resolver that was killed, until it stands by."""
        self._resolver(name)
        self._is_ready(name)

    def _resolver(self, name: str) -> None:
        port = self._health[name] = free_port()
        self._run(name, self.site.data / name, "resolve", PENSTOCK_HEALTH_LISTEN=f"127.0.0.1:{port}")

    def _is_ready(self, name: str) -> None:
        until(lambda: self._metric(name, "penstock_ready") == 1, START_SECONDS, self.printed)

    def _run(self, name: str, data: Path, command: str, *words: str, **more: str) -> None:
        env = {**self._env, "PENSTOCK_DATA": str(data), **more}
        self._roles[name] = Running(*words, command=command, out=self.site.root / f"{name}.out", env=env)

    def _metric(self, name: str, metric: str) -> float | None:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self._health[name]}/metrics", timeout=5) as page:
            for line in page.read().decode().splitlines():
                if line.startswith(metric + "{"):
                    return float(line.rpartition(" ")[2])
        return None

    def active(self) -> str:
        """The resolver that has the domain, once one has."""
        found: list[str] = []

        def has_one() -> bool:
            found[:] = [name for name in RESOLVERS if self._metric(name, "penstock_active") == 1]
            return len(found) == 1

        until(has_one, START_SECONDS, self.printed)
        return found[0]

    def kill(self, name: str) -> None:
        self._roles[name].process.kill()
        self._roles[name].process.wait()

    def serves(self, header: str) -> None:
        until(lambda: self.site.ask() == (200, header), START_SECONDS, self.printed)

    def call(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.site.call(*words, env={**self._env, **more})

    def printed(self) -> str:
        """What every role said last."""
        return "\n".join(f"== {one}\n{role.text()[-2000:]}" for one, role in self._roles.items())

    def end(self) -> None:
        for role in self._roles.values():
            if role.process.poll() is None:
                role.ends()

    def is_a_clean_replay(self) -> None:
        """Each offset of the log was applied once, in order, and gave the bytes that a fold of the log alone gives."""
        topics = asyncio.run(read_topics(self._log()))
        engine = Engine(sealer(Path(self._env["PENSTOCK_SEALING_KEY"])))
        found = audit(topics)
        assert found.wrong == []
        assert against(fold(topics[Topic.CHANGES], engine), topics) == []

    def _log(self) -> KafkaLog:
        context = ssl.create_default_context(cafile=self._env["PENSTOCK_SSL_CA"])
        given = {"sasl_plain_username": USER, "sasl_plain_password": PASSWORD, "ssl_context": context}
        security = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", **given}
        return KafkaLog(self._env["PENSTOCK_BROKERS"], security=security)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with tidy(tmp_path), answering() as backend:
        kafka = OwnKafka(tmp_path / "kafka")
        kafka.start()
        try:
            one = Plane(tmp_path, kafka, backend)
            one.start()
            yield one
            one.end()
        finally:
            kafka.stop()


def test_a_killed_resolver_hands_over_and_nothing_is_lost_or_applied_twice(plane: Plane) -> None:
    taken = []
    for number in range(HAND_OVERS):
        active = plane.active()
        with only(plane.site, *plane.last, *(words := [f"{number}-{one}" for one in range(CHANGES)])):
            for one in words[:-1]:
                plane.site.write("route.yaml", route(one))  # some are on their way when it is killed
            plane.kill(active)
            begin = time.monotonic()
            plane.site.write("route.yaml", route(words[-1]))
            plane.serves(words[-1])
            taken.append(time.monotonic() - begin)
        plane.last = (words[-1],)
        assert plane.active() != active
        plane.comes_back(active)
    print(f"hand-over: from the kill to the answer {', '.join(f'{one:.1f}' for one in taken)} s")  # noqa: T201
    plane.is_a_clean_replay()


def test_a_kafka_that_is_away_leaves_proxies_serving_and_all_goes_on_by_itself(plane: Plane) -> None:
    with only(plane.site, "one"):
        plane.kafka.stop()
        away_until = time.monotonic() + AWAY_SECONDS
        plane.site.write("route.yaml", route("two"))
        until(lambda: time.monotonic() > away_until, AWAY_SECONDS + 60)
    with only(plane.site, "one", "two"):
        plane.kafka.start()
        begin = time.monotonic()
        plane.serves("two")
        print(f"away {AWAY_SECONDS:.0f} s: caught up {time.monotonic() - begin:.1f} s after it had started")  # noqa: T201
    plane.is_a_clean_replay()
    _it_takes_nobody_without_the_password(plane)


def _it_takes_nobody_without_the_password(plane: Plane) -> None:
    plain = {"PENSTOCK_SECURITY_PROTOCOL": "PLAINTEXT", "PENSTOCK_SASL_USERNAME": "", "PENSTOCK_SASL_PASSWORD": ""}
    for wrong in ({"PENSTOCK_SASL_PASSWORD": "another"}, plain):
        done = plane.call("status", **wrong)
        assert (done.returncode, done.stdout) == (3, ""), done.stderr
        assert "Traceback" not in done.stderr
    assert PASSWORD not in plane.printed()
