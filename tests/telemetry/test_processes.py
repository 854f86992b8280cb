"""Real processes are ready when they are caught up with a real log, and say what they wait for before."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from engine.seal import KEY_BYTES
from streams.kafka import KafkaLog
from streams.ports import Outgoing
from streams.topics import Topic
from tests.e2e.conftest import site
from tests.e2e.site import Site
from tests.streams.toy import kafka_log
from tests.support.running import START_SECONDS, Running, free_port, pid_of, tidy, until
from tests.telemetry.asked import get, readiness
from tests.telemetry.test_metrics import samples

__all__ = ["site"]
pytestmark = pytest.mark.kafka
_ROLES = {"watch-local", "resolve", "project", "publish", "deploy"}


def test_a_run_is_ready_when_all_its_roles_are(site: Site) -> None:
    port = free_port()
    site.populate()
    site.start(env={"PENSTOCK_HEALTH_LISTEN": f"127.0.0.1:{port}"})
    until(lambda: get(port, "/healthz")[0] == 200, says=lambda: site.printed)
    until(lambda: readiness(port)[0] == 200, START_SECONDS, lambda: f"{readiness(port)} {site.printed}")
    site.serves("one")
    _, body = readiness(port)
    assert body["roles"].keys() == _ROLES
    assert body["roles"]["resolve"] == {"ready": True, "active": True, "waiting": {}}
    _tells_of_its_changes(site, port)
    # One of them stands still: it is told apart from those that go on, and is back when it is.
    victim = pid_of(site.data, r"cli resolve( |$)")
    assert victim
    os.kill(victim, signal.SIGSTOP)
    status, body = readiness(port)
    assert (status, body["waiting"]) == (503, {"resolve": "process: does not answer"})
    assert get(port, "/healthz")[0] == 200
    os.kill(victim, signal.SIGCONT)
    until(lambda: readiness(port)[0] == 200, says=lambda: f"{readiness(port)} {site.printed}")
    victim = pid_of(site.data, r"cli publish( |$)")
    assert victim
    os.kill(victim, signal.SIGKILL)
    until(lambda: readiness(port)[0] == 200, says=lambda: f"{readiness(port)} {site.printed}")
    site.ends()


def _tells_of_its_changes(site: Site, port: int) -> None:
    """One change more is one more of each stage, and the proxy is behind nothing when it has acknowledged it."""

    def told(name: str, **labels: str) -> float:
        return samples(get(port, "/metrics")[1]).get((name, frozenset(labels.items())), 0.0)

    stages = {"append": "watch", "resolve": "resolve", "publish": "publish", "acknowledge": "publish", "total": "publish"}

    def counts() -> list[float]:
        found = samples(get(port, "/metrics")[1])
        clusters = {"watch": {"cluster": "local"}}
        return [
            found.get(
                ("penstock_stage_seconds_count", frozenset({"role": role, "stage": stage, **clusters.get(role, {})}.items())), 0.0
            )
            for stage, role in stages.items()
        ]

    # What the proxy had to acknowledge until now is acknowledged.
    until(lambda: told("penstock_published_offset", role="publish") == told("penstock_resolved_offset", role="resolve"))
    until(lambda: told("penstock_proxies_behind", role="publish") == 0)
    before, resolved = counts(), told("penstock_changes_resolved_total", role="resolve")
    site.populate("two")
    site.serves("two")
    until(lambda: counts() == [one + 1 for one in before], says=lambda: f"{before} {counts()}")
    assert told("penstock_changes_resolved_total", role="resolve") == resolved + 1
    assert told("penstock_proxies_connected", role="publish") == 1
    until(lambda: told("penstock_proxies_behind", role="publish") == 0)
    until(lambda: told("penstock_published_offset", role="publish") == told("penstock_resolved_offset", role="resolve"))
    assert told("penstock_active", role="resolve") == 1
    assert all(told("penstock_process_answers", process=one) == 1 for one in _ROLES)


@pytest.mark.parametrize("host", ["faust", "group"])
async def test_a_replica_that_stands_by_is_ready_and_takes_over(broker: str, tmp_path: Path, host: str) -> None:
    async with kafka_log(broker) as log:
        with tidy(tmp_path):
            ports = {name: free_port() for name in ("a", "b")}
            runs = {name: _resolver(log, tmp_path, name, port, host) for name, port in ports.items()}
            said = "\n".join(run.text() for run in runs.values())

            def standing() -> list[bool | None]:
                return [readiness(port)[1].get("active") for port in ports.values()]

            def all_ready() -> bool:
                return all(readiness(port)[0] == 200 for port in ports.values())

            until(lambda: all_ready() and sorted(map(str, standing())) == ["False", "True"], 60, lambda: f"{standing()} {said}")
            active = standing().index(True)
            victim, heir = list(runs)[active], list(runs)[1 - active]
            runs[victim].process.kill()
            runs[victim].process.wait()
            until(lambda: readiness(ports[heir])[1].get("active") is True, 60, runs[heir].text)
            until(lambda: readiness(ports[heir])[0] == 200, 60, runs[heir].text)


async def test_a_stopped_domain_is_not_ready(broker: str, tmp_path: Path) -> None:
    async with kafka_log(broker) as log:
        async with log.writer("newer") as writer:
            await writer.write([Outgoing(Topic.CHANGES, 0, b"default", b'{"schema": 999}')])
        with tidy(tmp_path):
            port = free_port()
            run = _resolver(log, tmp_path, "a", port, "faust")
            until(lambda: "schema 999" in str(readiness(port)), 60, run.text)
            status, body = readiness(port)
            assert status == 503
            assert "upgrade penstock" in body["waiting"]["domain"]
            assert get(port, "/healthz")[0] == 200


def test_without_kafka_a_role_says_so(tmp_path: Path) -> None:
    with tidy(tmp_path):
        port, away = free_port(), free_port()
        env = _environment(f"127.0.0.1:{away}", "none", tmp_path, port)
        run = Running(command="publish", out=tmp_path / "out", env=env)
        until(lambda: "does not answer" in str(readiness(port)), 60, run.text)
        status, body = readiness(port)
        assert (status, body["waiting"].keys()) == (503, {"state"})
        run.ends(signal.SIGTERM)


def _environment(brokers: str, prefix: str, tmp_path: Path, port: int) -> dict[str, str]:
    key = tmp_path / "sealing.key"
    key.write_bytes(bytes(KEY_BYTES))
    return {
        "PENSTOCK_BROKERS": brokers, "PENSTOCK_TOPIC_PREFIX": prefix, "PENSTOCK_DATA": str(tmp_path / f"data-{port}"),
        "PENSTOCK_SEALING_KEY": str(key), "PENSTOCK_HEALTH_LISTEN": f"127.0.0.1:{port}",
    }  # fmt: skip


def _resolver(log: KafkaLog, tmp_path: Path, name: str, port: int, host: str) -> Running:
    env = {**_environment(log.brokers, log.prefix, tmp_path, port), "PENSTOCK_HOST": host, "POD_NAME": name}
    return Running(command="resolve", out=tmp_path / f"out-{name}", env=env)
