"""A log that cannot be written or reached, through a real run: told, proxies are served all along, it goes on by itself."""

from __future__ import annotations

import asyncio
import os

from streams.broker import Broker
from tests.e2e.site import Site, route
from tests.e2e.trouble import dies, is_said_by, kill, only, resolved, until
from tests.support.disk import Disk, disk
from tests.support.running import START_SECONDS, pid_of

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {{name: bulk-{name}, annotations: {{bulk: {text}}}}}
"""
FILES_OF_A_RUN = ("logs", "snapshot", "resolver", "projections")


def change(site: Site, header: str) -> None:
    """The route, and enough beside it to need room on the disk."""
    site.write("route.yaml", route(header))
    site.write("bulk.yaml", NAMESPACE.format(name=header, text=os.urandom(20_000).hex()))


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


def test_a_kafka_of_ones_own_may_be_away_later_and_at_the_start(site: Site) -> None:
    kafka = Broker(site.root / "kafka")
    address = asyncio.run(kafka.start())
    given = {"PENSTOCK_BROKERS": address}
    site.populate()
    site.start("--brokers", address)
    site.serves("one")
    with only(site, "one"):
        until((site.data / "snapshot" / "default.sealed").exists)
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
    until(lambda: site.call("status", env=given).returncode == 0, lambda: site.printed)
    site.ends()
    asyncio.run(kafka.stop())
