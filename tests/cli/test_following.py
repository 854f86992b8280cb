"""`penstock log --follow` tells once of what keeps the log from going on, goes on afterwards, and ends by Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from streams.broker import Broker
from streams.codec import dumps
from streams.kafka import KafkaLog
from streams.ports import Outgoing
from streams.topics import Topic, topic_name
from tests.cli.log import Place, resolved
from tests.support.running import until

pytestmark = pytest.mark.kafka
SECONDS = 60.0


class Follower:
    """A `penstock log --follow` in a process of its own."""

    def __init__(self, place: Place, *words: str) -> None:
        self._out, self._err = place.data / "out.txt", place.data / "err.txt"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "log", "--follow", *words],
                stdout=out,
                stderr=err,
                env={**os.environ, "PENSTOCK_DATA": str(place.data), "PENSTOCK_TOPIC_PREFIX": place.prefix},
            )

    def shows(self, text: str) -> None:
        until(lambda: text in self._out.read_text(), SECONDS, lambda: self.told() + self._out.read_text())

    def told(self) -> str:
        return self._err.read_text()

    def tells(self, text: str) -> None:
        until(lambda: text in self.told(), SECONDS, self.told)

    def ends(self) -> int:
        """Ctrl-C; it says nothing of its own."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        assert all(line.startswith("penstock: ") for line in self.told().splitlines()), self.told()
        return code


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Broker]:
    node = Broker(tmp_path / "broker")
    yield node
    asyncio.run(node.stop())


@pytest.fixture
def follow(node: Broker, tmp_path: Path) -> Iterator[Callable[[], tuple[Place, Follower]]]:
    followers: list[Follower] = []

    def begin() -> tuple[Place, Follower]:
        with resolved(asyncio.run(node.start()), tmp_path) as place:
            followers.append(Follower(place))
        followers[0].shows("delete Service/web")
        return place, followers[0]

    yield begin
    for one in followers:
        one.process.kill()
        one.process.wait()


async def write(place: Place, topic: Topic, value: bytes) -> None:
    async with KafkaLog(place.brokers, place.prefix).writer("test") as writer:
        await writer.write([Outgoing(topic, 0, b"default", value)])


def update(offset: int, actor: str) -> bytes:
    return dumps({"offset": offset, "actor": actor, "changes": [], "downstream": {}})


async def delete(place: Place, topic: Topic) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=place.brokers)
    await admin.start()
    await admin.delete_topics([topic_name(topic, place.prefix)])
    await admin.close()


def test_a_broker_that_goes_away_is_told_of_once(
    node: Broker, follow: Callable[[], tuple[Place, Follower]], tmp_path: Path
) -> None:
    place, follower = follow()
    asyncio.run(node.stop())
    follower.tells(f"no broker runs for {tmp_path}: start `penstock run`, or name the right --data or --brokers")
    assert asyncio.run(node.start()) == place.brokers
    follower.tells("penstock: goes on")
    asyncio.run(write(place, Topic.UPDATES, update(100, "late.yaml")))
    follower.shows("late.yaml")
    # What was shown is not shown again.
    assert follower._out.read_text().count("delete Service/web") == 1
    assert len(follower.told().splitlines()) in {2, 3}, "that it does not answer may come before that it is away"
    assert follower.told().count("no broker runs") == follower.told().count("goes on") == 1
    assert follower.ends() == 130


def test_a_topic_that_goes_away_and_a_domain_that_stops_are_told_of(
    follow: Callable[[], tuple[Place, Follower]],
) -> None:
    place, follower = follow()
    asyncio.run(delete(place, Topic.UPDATES))
    name = topic_name(Topic.UPDATES, place.prefix)
    follower.tells(f"{name}/0 does not exist on the broker: restore it, or start penstock again")
    asyncio.run(KafkaLog(place.brokers, place.prefix).create_topics(1))
    asyncio.run(write(place, Topic.UPDATES, update(100, "anew.yaml")))
    follower.shows("anew.yaml")
    assert follower.told().count(name) == 1
    asyncio.run(write(place, Topic.CHANGES, b'{"schema": 99}'))
    follower.tells("upgrade penstock")
    asyncio.run(write(place, Topic.UPDATES, update(101, "all-the-same.yaml")))
    follower.shows("all-the-same.yaml")
    assert follower.ends() == 130
    assert follower.told().count("upgrade penstock") == 1


def test_a_trouble_of_the_start_is_told_of_once_and_amid_troubles_it_ends(node: Broker, tmp_path: Path) -> None:
    with resolved(asyncio.run(node.start()), tmp_path) as place:
        asyncio.run(write(place, Topic.CHANGES, b'{"schema": 99}'))
    follower = Follower(place)
    try:
        follower.shows("delete Service/web")
        asyncio.run(delete(place, Topic.XDS))
        follower.tells("xds/0 does not exist")
        assert follower.told().count("upgrade penstock") == 1
        asyncio.run(node.stop())
        follower.tells("no broker runs")
        assert follower.ends() == 130
    finally:
        follower.process.kill()
        follower.process.wait()
