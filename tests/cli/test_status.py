"""`penstock status`: its exit codes, whose a condition is, and what it says while nothing can be told yet."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from streams.cli import app
from streams.cli.commands.status import _print_proxy
from streams.codec import dumps
from streams.identity import holder, lock
from streams.kafka import KafkaLog
from streams.ports import Outgoing
from streams.projections.convergence import summary
from streams.topics import Topic
from tests.cli.log import Place, resolved
from tests.support.running import free_port

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with resolved(broker, tmp_path_factory.mktemp("data")) as found:
        yield found


def asked(data: Path, *words: str, prefix: str = "penstock") -> Result:
    return CliRunner(env={"PENSTOCK_TOPIC_PREFIX": prefix}).invoke(app, [*words, "--data", str(data)])


def embedded(data: Path, port: int) -> None:
    """A broker's process lives: this one stands for it."""
    started = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    (data / "broker").mkdir(parents=True)
    (data / "broker" / "broker.json").write_text(json.dumps({"pid": os.getpid(), "port": port, "started": started}))


@pytest.mark.parametrize(
    ("ref", "code"), [((), 1), (("HTTPRoute/other/bad",), 1), (("Gateway/gw",), 1), (("Secret/key",), 0)]
)
def test_its_code_says_whether_all_is_as_wished(place: Place, ref: tuple[str, ...], code: int) -> None:
    assert place.run("status", *ref).exit_code == code
    assert place.run("status", *ref, "-o", "json").exit_code == code


def test_a_listener_is_named_with_its_conditions(place: Place) -> None:
    assert "Gateway/default/gw  listener http: Programmed=False Pending: not all proxies, or none" in place.prints("status")
    answer: Any = place.tells("status", "Gateway/gw")
    (found,) = answer["objects"]
    of = {(one.get("listener"), one["type"]) for one in found["conditions"]}
    assert {(None, "Programmed"), ("http", "Programmed"), ("http", "Conflicted")} <= of


def test_a_parent_is_named_with_its_conditions(place: Place) -> None:
    """Of several one may refuse the route, and each line says which."""
    text = place.prints("status", "HTTPRoute/twice")
    assert "HTTPRoute/default/twice  parent gw listener http port 8080: Accepted=True" in text
    assert "HTTPRoute/default/twice  parent gw listener https port 9090: Accepted=False" in text
    bad = [one for one in place.prints("status").splitlines() if "twice" in one]
    assert [one.partition(": ")[0].partition("  ")[2] for one in bad] == ["parent gw listener https port 9090"]
    answer: Any = place.tells("status", "HTTPRoute/twice")
    parents = [one["parent"] for one in answer["objects"][0]["conditions"] if one["type"] == "Accepted"]
    assert parents == ["gw listener http port 8080", "gw listener https port 9090"]


def test_a_rejected_removal_is_worded_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"gateway": "c/g/Gateway/default/gw", "connected": True, "behind": False, "offset": 1, "admin": None}
    for flags, said in (
        ({}, "rejected: no"),
        ({"unconfirmed": True}, "rejected (an isolated Envoy does not confirm it"),
        ({"removal": True}, "rejected a removal (it may hold what is gone"),
    ):
        _print_proxy({**row, "error": "no", **flags})
        assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("Address already in use", "end what holds the address, or give the listener another port"),
        ("Cannot assign requested address", "the address is none of this machine's: name another one with --bind"),
    ],
)
def test_an_address_that_is_not_to_be_had(capsys: pytest.CaptureFixture[str], why: str, said: str) -> None:
    row = {"gateway": "c/g/Gateway/default/gw", "connected": True, "behind": False, "offset": 1, "admin": None}
    _print_proxy({**row, "error": f"Error adding/updating listener(s) a: cannot bind '10.255.255.1:80': {why}\n"})
    assert f"{why}\n            {said}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("status",), ("get", "gateways"), ("log",), ("status", "Gateway/gw")])
def test_a_kafka_of_ones_own_that_does_not_answer(tmp_path: Path, words: tuple[str, ...]) -> None:
    port = free_port()
    result = asked(tmp_path, *words, "--brokers", f"127.0.0.1:{port}")
    said = f"Kafka at 127.0.0.1:{port} does not answer: start it, or name the right one with --brokers"
    assert (result.exit_code, result.stderr) == (3, f"penstock: {said}\n")


def test_a_run_that_has_no_broker_yet(tmp_path: Path) -> None:
    with lock(tmp_path):
        result = asked(tmp_path, "status")
    said = f"`penstock run` (process {os.getpid()}) is starting its Kafka: ask again in a moment"
    assert (result.exit_code, result.stderr) == (3, f"penstock: {said}\n")
    assert "start `penstock run`, or name the right --data" in asked(tmp_path, "status").stderr


def test_a_broker_that_does_not_answer_yet(tmp_path: Path) -> None:
    port = free_port()
    embedded(tmp_path, port)
    with lock(tmp_path):
        result = asked(tmp_path, "status", "HTTPRoute/a")
    said = f"`penstock run` (process {os.getpid()}) is starting it, ask again in a moment"
    assert result.stderr == f"penstock: Kafka at 127.0.0.1:{port} does not answer: {said}\n"
    assert "start `penstock run` again, which looks after it" in asked(tmp_path, "status").stderr


def test_topics_that_are_not_made_yet(tmp_path: Path, broker: str) -> None:
    embedded(tmp_path, int(broker.rpartition(":")[2]))
    with lock(tmp_path):
        result = asked(tmp_path, "status", prefix=f"s{uuid.uuid4().hex[:8]}")
    said = f"`penstock run` (process {os.getpid()}) is starting, there are no topics of penstock yet"
    assert (result.exit_code, result.stderr) == (3, f"penstock: {said}: ask again in a moment\n")


@pytest.mark.parametrize("words", [("status",), ("status", "HTTPRoute/a"), ("get", "httproute", "a")])
def test_while_nothing_is_resolved_nothing_is_missing(tmp_path: Path, broker: str, words: tuple[str, ...]) -> None:
    prefix = f"s{uuid.uuid4().hex[:8]}"
    asyncio.run(KafkaLog(broker, prefix).create_topics(1))
    embedded(tmp_path, int(broker.rpartition(":")[2]))
    with lock(tmp_path):
        result = asked(tmp_path, *words, prefix=prefix)
    said = f"`penstock run` (process {os.getpid()}) is starting, nothing is resolved yet: ask again in a moment"
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", f"penstock: {said}\n")


def test_who_holds_a_directory_is_known_without_taking_it(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with lock(tmp_path):
        assert holder(tmp_path) == os.getpid()
    assert holder(tmp_path) is None


def test_a_deleted_gateway_is_listed_as_long_as_a_proxy_of_it_is_connected(place: Place) -> None:
    """One that is there is listed with its proxy gone, too."""
    kind = "local/gateway.networking.k8s.io/Gateway/default"
    rows = [
        Outgoing(
            Topic.CONVERGENCE, 0, f"default/{kind}/{name}".encode(),
            dumps(summary(f"default/{kind}/{name}", {f"default/{kind}/{name}/0": dumps({"offset": 1, "connected": on, "at": 0, "error": ""})})),
        )
        for name, on in (("left", False), ("leaving", True), ("gw", False))
    ]  # fmt: skip

    async def write() -> None:
        async with KafkaLog(place.brokers, place.prefix).writer("convergence-test") as writer:
            await writer.write(rows)

    asyncio.run(write())
    answer: Any = place.tells("status")
    shown = {one["gateway"].rpartition("/")[2]: one["connected"] for one in answer["proxies"]}
    assert shown == {"leaving": True, "gw": False}


def test_why_a_gateways_proxies_are_not_deployed_is_told(place: Place) -> None:
    gateway = "local/gateway.networking.k8s.io/Gateway/default/gw"
    row = {"gateway": gateway, "proxies": {}, "lowest": None, "acknowledged": None, "undeployed": "Service default/gw: no"}

    async def write() -> None:
        async with KafkaLog(place.brokers, place.prefix).writer("convergence-test") as writer:
            await writer.write([Outgoing(Topic.CONVERGENCE, 0, f"default/{gateway}".encode(), dumps(row))])

    asyncio.run(write())
    answer: Any = place.tells("status")
    (found,) = (one for one in answer["objects"] if one["ref"] == gateway)
    told = {one["reason"]: one["message"] for one in found["conditions"] if one["type"] == "Programmed"}
    assert "Service default/gw: no" in told["NoResources"]
