"""Trouble with the log, through a real run: it is refused clearly, proxies are served all along, the remedy works."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from engine.events import SCHEMA
from streams.broker import Broker
from streams.kafka import KafkaLog
from streams.ports import Outgoing
from streams.topics import OUTPUTS, Topic, topic_name, topic_specs
from tests.e2e.site import GATEWAY, Site, asked_all_along, offsets, route
from tests.support.disk import Disk, disk
from tests.support.running import START_SECONDS, free_port, pid_of, processes
from tests.support.running import until as until_within

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {{name: bulk-{name}, annotations: {{bulk: {text}}}}}
"""
AGAIN = "does not exist on the broker: restore it, or start penstock again, which makes it anew and fills it from the log"
FILES_OF_A_RUN = ("logs", "snapshot", "resolver", "projections")


def until(question: Callable[[], object], says: Callable[[], str] = str) -> None:
    """A broker that starts on a busy machine takes its time."""
    until_within(question, START_SECONDS, says)


def log_of(site: Site) -> KafkaLog:
    return KafkaLog(Broker(site.data / "broker").address())


def change(site: Site, header: str) -> None:
    """The route, and enough beside it to need room on the disk."""
    site.write("route.yaml", route(header))
    site.write("bulk.yaml", NAMESPACE.format(name=header, text=os.urandom(20_000).hex()))


def saved(site: Site, wanted: int) -> None:
    """Wait until the snapshot on disk has come to an offset."""
    from streams.identity import sealer
    from streams.xds import snapshot

    path, opener = site.data / "snapshot" / "default.sealed", sealer(site.data / "keys" / "sealing.key")
    until(lambda: (found := snapshot.load(path, opener)) is not None and found.offset >= wanted)


def resolved(site: Site) -> int:
    """Wait until the log is resolved and saved as far as it goes; its last offset."""
    until(lambda: len(set(offsets(site))) == 1, says=lambda: site.printed)
    saved(site, offsets(site)[0])
    return offsets(site)[0]


def kill(site: Site, words: str) -> None:
    """The process of the run with these words in its command line is killed."""
    pid = pid_of(site.data, words)
    assert pid, words
    os.kill(pid, signal.SIGKILL)


def dies(site: Site) -> None:
    """The run is killed; its Envoy and broker stay."""
    assert site.run is not None
    site.run.process.kill()
    site.run.process.wait()
    until(lambda: not pid_of(site.data, r"streams\.cli"))


@contextmanager
def only(site: Site, *answers: str) -> Iterator[None]:
    """Whoever asks meanwhile is answered with one of these, each time."""
    with asked_all_along(site) as seen:
        yield
    assert seen
    assert {answer for answer in seen if answer not in {(200, one) for one in answers}} == set(), (seen, site.printed)


@pytest.mark.timeout(600)
def test_a_full_disk_is_told_and_survived_and_what_was_written_meanwhile_is_served(site: Site) -> None:
    with disk(site.root / "kafka", 320) as kafka, disk(site.root / "rest", 8) as rest:
        kafka.holds(site.data / "broker")
        for name in FILES_OF_A_RUN:
            rest.holds(site.data / name)
        site.populate()
        site.start()
        site.serves("one")
        _the_runs_own_files_have_no_room(site, rest)
        with only(site, "three"):
            _the_log_has_no_room(site, kafka)
            # The run is killed too: the next one serves what was served, and waits for room.
            envoy = pid_of(site.data, "envoy -c")
            dies(site)
            before = len(site.printed)
            site.start()
            until(lambda: "the last state is served" in site.printed[before:], lambda: site.printed)
            until(lambda: "adopted an Envoy" in site.printed[before:], lambda: site.printed)
            assert pid_of(site.data, "envoy -c") == envoy
        kill(site, "envoy -c")
        site.serves("three")
        assert pid_of(site.data, "envoy -c") != envoy
        with only(site, "three", "four"):
            kafka.free()
            site.serves("four")
        resolved(site)
        site.ends()


def _the_runs_own_files_have_no_room(site: Site, rest: Disk) -> None:
    """Everything goes on; the snapshot is written once there is room, without another change."""
    rest.fill()
    change(site, "two")
    site.serves("two")
    site.says("lines are shown only: No space left on device; free space", START_SECONDS)
    site.says("the snapshot cannot be written, tried again until it can: free space", START_SECONDS)
    for role in ("publish", "project"):
        kill(site, rf"{role}( |$)")
    change(site, "three")
    site.serves("three")
    rest.free()
    resolved(site)


def _the_log_has_no_room(site: Site, kafka: Disk) -> None:
    """The broker ends, which is said with the remedy, and not said again and again."""
    before = len(site.printed)
    kafka.fill()
    change(site, "four")
    site.says("MiB left; the log needs at least 200 MiB: free space on that disk", START_SECONDS)
    site.says("starts again; its last complaint: java.io.IOException: No space left on device", START_SECONDS)
    told = site.call("status")
    assert (told.returncode, told.stdout) == (3, "")
    assert "the log needs at least 200 MiB: free space on that disk" in told.stderr
    assert "a `penstock run` that still runs starts it again" in told.stderr
    assert site.printed[before:].count("starts again") == 1


@pytest.mark.timeout(600)
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
    words = f"but offset {newest} was already seen: an older copy of the log was restored"
    with only(site, "two"):
        site.start()
        for role in ("resolve", "publish", "watch-local"):
            until(lambda at=role: is_said_by(site, at, words), lambda: site.printed)  # type: ignore[misc]
        site.write("more.yaml", route("late", "/late", "late"))
        refuses(site, words)
        log = json.loads(site.call("status", "-o", "json").stdout)["log"]
        assert (log["last"], log["resolved"]) == (older, older)  # nothing was appended over it
    # Proxies that start are served the last state too, with the gateway that the older copy does not know.
    for pid in [pid for pid, line in processes(site.data).items() if "envoy -c" in line]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: site.ask() == site.ask(port=port) == (200, "two"), lambda: site.printed)
    # One remedy: the newer copy comes back, and everything goes on.
    with only(site, "two"):
        with held(site):
            replaced(site, site.root / "newer", site.root / "older")
        site.serves("late", "/late")
        resolved(site)
        assert site.call("status").returncode == 0
    # The other remedy: going on from the older copy. This time it is put there below a run that goes on.
    before = len(site.printed)
    with held(site):
        replaced(site, site.root / "backup" / "broker", site.root / "newest")
    until(lambda: is_said_by(site, "publish", "was already seen", before), lambda: site.printed)
    assert site.ask() == site.ask(port=port) == (200, "two")
    (path,) = (site.data / "snapshot").glob("*.sealed")
    assert f"stop penstock, move {path} away, and start it again; what the manifests say" in site.printed[before:]
    dies(site)
    path.rename(site.root / "away")
    site.write("route.yaml", shared("three"))
    site.start()
    until(lambda: site.ask() == site.ask(port=port) == (200, "three"), lambda: site.printed)
    site.serves("late", "/late")
    resolved(site)
    assert site.call("status").returncode == 0
    site.ends()
    # A data directory that is older as a whole contradicts nothing: the manifests are compared again.
    shutil.rmtree(site.data)
    shutil.copytree(site.root / "backup", site.data)
    before = len(site.printed)
    site.start()
    until(lambda: site.ask() == site.ask(port=port) == (200, "three"), lambda: site.printed)
    site.serves("late", "/late")
    resolved(site)
    assert site.call("status").returncode == 0
    assert "already seen" not in site.printed[before:]
    site.ends()


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


def is_said_by(site: Site, role: str, words: str, since: int = 0) -> bool:
    return any(line.startswith(f"{role:<12} ") and words in line for line in site.printed[since:].splitlines())


def refuses(site: Site, words: str) -> None:
    """What the commands say while the log is refused: status ends with 3, the others answer and warn."""
    for command, code in (("status", 3), ("get gateways", 0), ("graph routes", 0)):
        done = site.call(*command.split())
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout


async def _delete(log: KafkaLog, topics: Sequence[Topic]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=log.brokers)
    await admin.start()
    try:
        await admin.delete_topics([topic_name(one, log.prefix) for one in topics])
    finally:
        await admin.close()


@pytest.mark.timeout(600)
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
    assert site.call("status").returncode == 0
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
    assert site.call("status").returncode == 0
    site.ends()


GARBAGE = (b"\x00\xff", b"junk", b"{}", b"[1]", b'{"schema":1}', b'{"offset":"x","at":"y","gateway":1}', None)


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


@pytest.mark.timeout(600)
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
    for command in ("status", "get httproutes", "graph routes", "log", "replay --digest"):
        done = site.call(*command.split())
        assert (done.returncode, done.stderr) == (0, ""), (command, done.stderr)
    assert site.tells("replay", "--live")["digest"] == site.tells("replay")["digest"]


async def _newer(log: KafkaLog) -> None:
    async with log.writer("newer") as writer:
        await writer.write([Outgoing(Topic.CHANGES, 0, b"default", b'{"schema": 99}')])


@pytest.mark.timeout(600)
def test_a_kafka_of_ones_own_may_be_away_later_and_at_the_start(site: Site) -> None:
    kafka = Broker(site.root / "kafka")
    address = asyncio.run(kafka.start())
    given = {"PENSTOCK_BROKERS": address}
    site.populate()
    site.start("--brokers", address)
    site.serves("one")
    with only(site, "one"):
        until(lambda: (site.data / "snapshot" / "default.sealed").exists())
        asyncio.run(kafka.stop())
        site.write("route.yaml", route("two"))
        until(lambda: is_said_by(site, "watch-local", f"Kafka at {address} does not answer"), lambda: site.printed)
        done = site.call("status", env=given)
        assert (done.returncode, done.stdout) == (3, "")
        assert f"Kafka at {address} does not answer" in done.stderr
        dies(site)
        site.start("--brokers", address)
        site.says("waiting for it: start it, or name another one with --brokers", START_SECONDS)
    kill(site, "envoy -c")
    site.serves("one")  # a proxy that starts while Kafka is away
    with only(site, "one", "two"):
        assert asyncio.run(kafka.start()) == address
        site.serves("two")
    assert site.call("status", env=given).returncode == 0
    site.ends()
    asyncio.run(kafka.stop())
