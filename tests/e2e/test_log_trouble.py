"""A log that is not what it was, through a real run: refused clearly, proxies are served all along, the remedy works."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from engine.events import SCHEMA
from streams.broker import Broker
from streams.kafka import KafkaLog
from streams.ports import Outgoing
from streams.topics import OUTPUTS, Topic, topic_name, topic_specs
from tests.e2e.site import GATEWAY, Site, route
from tests.e2e.trouble import dies, is_as_wished, is_said_by, kill, log_of, only, refuses, resolved, until
from tests.support.running import free_port, pid_of, processes

AGAIN = "does not exist on the broker: restore it, or start penstock again, which makes it anew"
GARBAGE = (b"\x00\xff", b"junk", b"{}", b"[1]", b'{"schema":1}', b'{"offset":"x","at":"y","gateway":1}', None)


def test_an_older_copy_of_the_log_is_refused_until_a_person_decides(site: Site) -> None:
    site.populate()
    site.start()
    site.serves("one")
    older = resolved(site)
    with held(site):
        shutil.copytree(site.data, site.root / "backup", ignore=shutil.ignore_patterns("*.sock"))
    site.write("other.yaml", GATEWAY.format(name="other", port=(port := free_port())))
    site.write("route.yaml", shared("two"))
    until(lambda: site.ask(port=port) == (200, "two"), lambda: site.printed)
    newest = resolved(site)
    dies(site)
    replaced(site, site.root / "backup" / "broker", site.root / "newer")
    with only(site, "two"):
        site.start()
        _every_role_refuses_it(site, older, newest)
    # Proxies that start are served the last state too, with the gateway that the older copy does not know.
    for pid in [pid for pid, line in processes(site.data).items() if "envoy -c" in line]:
        os.kill(pid, signal.SIGKILL)
    both_serve(site, port, "two")
    # One remedy: the newer copy comes back, and everything goes on.
    with only(site, "two"):
        with held(site):
            replaced(site, site.root / "newer", site.root / "older")
        is_well(site)
    _going_on_from_the_older_one(site, port)
    site.ends()
    # A data directory that is older as a whole contradicts nothing: the manifests are compared again.
    shutil.rmtree(site.data)
    shutil.copytree(site.root / "backup", site.data)
    before = len(site.printed)
    site.start()
    both_serve(site, port, "three")
    is_well(site)
    assert "already seen" not in site.printed[before:]
    site.ends()


def _every_role_refuses_it(site: Site, older: int, newest: int) -> None:
    """Commands too, and nothing is appended over it."""
    words = f"but offset {newest} was already seen: an older copy of the log was restored"
    for role in ("resolve", "publish", "watch-local"):
        until(lambda at=role: is_said_by(site, at, words), lambda: site.printed)  # type: ignore[misc]
    site.write("more.yaml", route("late", "/late", "late"))
    refuses(site, words)
    log = json.loads(site.call("status", "-o", "json").stdout)["log"]
    assert (log["last"], log["resolved"]) == (older, older)


def _going_on_from_the_older_one(site: Site, port: int) -> None:
    """The other remedy, followed to the letter; this time the older copy is put below a run that goes on."""
    before = len(site.printed)
    with held(site):
        replaced(site, site.root / "backup" / "broker", site.root / "newest")
    until(lambda: is_said_by(site, "publish", "was already seen", before), lambda: site.printed)
    both_serve(site, port, "two")
    (path,) = (site.data / "snapshot").glob("*.sealed")
    assert f"stop penstock, move {path} away, and start it again; what the manifests say" in site.printed[before:]
    dies(site)
    path.rename(site.root / "away")
    site.write("route.yaml", shared("three"))
    site.start()
    both_serve(site, port, "three")
    is_well(site)


def both_serve(site: Site, port: int, header: str) -> None:
    until(lambda: site.ask() == site.ask(port=port) == (200, header), lambda: site.printed)


def is_well(site: Site) -> None:
    """What was written last is served, and status has no word to say."""
    site.serves("late", "/late")
    resolved(site)
    is_as_wished(site)


def shared(header: str) -> str:
    """A route of both gateways."""
    return route(header).replace("parentRefs: [", "parentRefs: [{name: other}, ")


@contextmanager
def held(site: Site) -> Iterator[None]:
    """The run and its broker stand still meanwhile."""
    assert site.run is not None
    pids = [site.run.process.pid, pid_of(site.data, r"kafka\.Kafka")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def replaced(site: Site, by: Path, kept: Path) -> None:
    """Another copy of the log takes the place of the one that is there; the broker is killed."""
    kill(site, r"kafka\.Kafka")
    until(lambda: pid_of(site.data, r"kafka\.Kafka") == 0)
    shutil.move(site.data / "broker", kept)
    shutil.copytree(by, site.data / "broker")


async def _delete(log: KafkaLog, topics: Sequence[Topic]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=log.brokers)
    await admin.start()
    try:
        await admin.delete_topics([topic_name(one, log.prefix) for one in topics])
    finally:
        await admin.close()


def test_a_missing_topic_is_named_with_a_remedy_that_works(site: Site) -> None:
    site.populate()
    site.start()
    site.serves("one")
    resolved(site)
    lost = (*OUTPUTS, Topic.CONVERGENCE, Topic.REJECTED)
    with only(site, "one"):
        asyncio.run(_delete(log_of(site), lost))
        site.write("route.yaml", route("two"))
        until(lambda: is_said_by(site, "resolve", AGAIN), lambda: site.printed)
        done = site.call("status")
        assert (done.returncode, done.stdout) == (3, "")
        assert [one for one in lost if f"{topic_name(one)}/0 {AGAIN}" not in done.stderr] == []
        dies(site)
    with only(site, "one", "two"):
        site.start()
        site.serves("two")
    resolved(site)
    is_as_wished(site)
    assert site.tells("replay", "--live")["digest"] == site.tells("replay")["digest"]
    with only(site, "two"):
        asyncio.run(_delete(log_of(site), [Topic.CHANGES]))
        site.write("route.yaml", route("three"))
        until(lambda: is_said_by(site, "watch-local", "the log is gone"), lambda: site.printed)
        done = site.call("status")
        assert (done.returncode, done.stdout) == (3, "")
        assert "penstock.changes/0 does not exist on the broker: the log is gone. Bring back" in done.stderr
        dies(site)
    asyncio.run(Broker(site.data / "broker").stop())
    for name in ("broker", "snapshot"):
        shutil.move(site.data / name, site.root / f"{name}-away")
    with only(site, "two", "three"):
        site.start()
        site.serves("three")
    resolved(site)
    is_as_wished(site)
    site.ends()


async def _plant(log: KafkaLog, topics: Sequence[Topic]) -> None:
    """Every kind of garbage under every kind of key, as a stranger writes it; Kafka compacts nothing without a key."""
    compacted = {spec.name for spec in topic_specs(1) if spec.config["cleanup.policy"] == "compact"}
    async with log.writer("stranger") as writer:
        for topic in topics:
            keys = [b"\xff\xfe", b"default", b"default/junk", b"default/resource/junk"]
            free = [] if topic_name(topic) in compacted else [None]
            for key in (*keys, *free):
                headers = (("reason", b"\xff"),)
                values = [one for one in GARBAGE if key is not None or one is not None]
                await writer.write([Outgoing(topic, 0, key, value, headers) for value in values])


def test_garbage_in_every_topic_costs_itself_only_and_a_newer_schema_stops_the_domain(site: Site) -> None:
    site.populate()
    site.start()
    site.serves("one")
    resolved(site)
    with only(site, "one", "two"):
        asyncio.run(_plant(log_of(site), tuple(Topic)))
        site.write("route.yaml", route("two"))
        site.serves("two")
        readable(site)
        dies(site)
        site.start()
    site.write("route.yaml", route("three"))
    site.serves("three")
    readable(site)
    assert "Traceback" not in site.printed, site.printed
    assert "a record was rejected" in site.printed
    with only(site, "three"):
        asyncio.run(_newer(log_of(site)))
        site.write("route.yaml", route("four"))
        words = f"has schema 99, this penstock reads up to {SCHEMA}: upgrade penstock"
        until(lambda: is_said_by(site, "resolve", words), lambda: site.printed)
        refuses(site, words)
        log = json.loads(site.call("status", "-o", "json").stdout)["log"]
        assert log["behind"]
        assert words in log["trouble"]
        before = len(site.printed)
        kill(site, r"resolve( |$)")
        until(lambda: is_said_by(site, "resolve", words, before), lambda: site.printed)
    site.ends()


def readable(site: Site) -> None:
    """No command stumbles."""
    resolved(site)
    is_as_wished(site)
    for command in ("status", "get httproutes", "graph routes", "log", "replay --digest"):
        done = site.call(*command.split())
        assert (done.returncode, done.stderr) == (0, ""), (command, done.stderr)
    assert site.tells("replay", "--live")["digest"] == site.tells("replay")["digest"]


async def _newer(log: KafkaLog) -> None:
    async with log.writer("newer") as writer:
        await writer.write([Outgoing(Topic.CHANGES, 0, b"default", b'{"schema": 99}')])
