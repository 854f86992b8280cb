"""With several clusters in the log every command says which is meant, and can be asked for one."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from engine.engine import VERSION, Engine, EngineSettings
from engine.events import ChangeSet, Delete, Put, Reachable, Refused, SyncBegin, SyncEnd, Unreachable
from engine.ref import Ref
from engine.seal import KEY_BYTES, Sealer
from streams.cli import app
from streams.cli.commands.check import judge
from streams.codec import dumps, encode_change_set
from streams.domain import Domain, DomainOptions
from streams.identity import lock, sealing_key
from streams.kafka import KafkaLog
from streams.pins import Teller
from streams.ports import Outgoing
from streams.process import remember, running
from streams.settings import Settings
from streams.sources.absent import note, words
from streams.sources.stamp import CLUSTER, STALE_SINCE, stamped
from streams.standalone import Outside, Standalone
from streams.supervisor import Role
from streams.topics import Topic, key
from tests.cli.log import TIME, Place
from tests.support.signing import ROOT, signer

pytestmark = pytest.mark.kafka

_API = "gateway.networking.k8s.io"
_ROOT = {"apiVersion": f"{_API}/v1"}


def _puts(cluster: str, *names: str) -> list[Put]:
    listener = {"name": "http", "port": 8080, "protocol": "HTTP"}
    specs: dict[str, Any] = {"Gateway": {"gatewayClassName": "penstock", "listeners": [listener]}}
    specs["HTTPRoute"] = {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"name": cluster, "port": 80}]}]}
    found = []
    for kind, name in [("Gateway", "edge"), *(("HTTPRoute", one) for one in names)]:
        metadata = {"name": name, "namespace": "default", "generation": 1, "creationTimestamp": TIME}
        object_ = {**_ROOT, "kind": kind, "metadata": metadata, "spec": specs[kind]}
        found.append(Put(Ref(cluster, _API, kind, "default", name), object_))
    return found


async def tell(place: Place, cluster: str, *changes: Any) -> None:
    """Append what a source says, and resolve it."""
    log = KafkaLog(place.brokers, place.prefix)
    async with log.writer(f"source-default-{cluster}") as writer:
        one = ChangeSet("default", cluster, "files", uuid.uuid4().hex, TIME, "all.yaml", tuple(changes))
        await writer.write(encode_change_set(one))
    await resolve(place)


async def resolve(place: Place, *keys: tuple[str, str]) -> None:
    log = KafkaLog(place.brokers, place.prefix)
    sealer = Sealer(sealing_key(place.data / "keys" / "sealing.key"))
    domain = Domain(log, lambda: Engine(sealer, EngineSettings(trusted_keys=keys)), DomainOptions(version=VERSION))
    await domain.acquire()
    await domain.release()


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has a resolver, by whose keys it is trusted, where a command waits for one."""
    applied = Teller.applied

    def starts(place: Place, *keys: tuple[str, str]) -> None:
        async def resolved_first(teller: Teller, offset: int) -> None:
            await resolve(place, *keys)
            await applied(teller, offset)

        monkeypatch.setattr("streams.pins.Teller.applied", resolved_first)

    return starts


async def _begin(place: Place) -> None:
    await KafkaLog(place.brokers, place.prefix).create_topics(1)
    for cluster, more in (("east", ("away",)), ("west", ("away", "only"))):
        refused = Refused("x.yaml:3", None, f"a tab in {cluster}")
        await tell(place, cluster, SyncBegin(), *_puts(cluster, *more), refused, SyncEnd())


def place_of(broker: str, data: Path) -> Place:
    place = Place(broker, f"c{uuid.uuid4().hex[:8]}", data)
    asyncio.run(_begin(place))
    return place


@pytest.fixture(scope="module")
def place(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield place_of(broker, tmp_path_factory.mktemp("data"))


def test_an_object_of_one_name_in_two_clusters_is_not_guessed(place: Place) -> None:
    result = place.run("get", "httproute", "away")
    said = "penstock: httproutes away is in clusters east and west: name one with --cluster\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", said)
    one: Any = place.tells("get", "httproute", "away", "--cluster", "west")
    assert one["spec"]["rules"][0]["backendRefs"][0]["name"] == "west"
    assert one["metadata"]["annotations"] == {CLUSTER: "west"}
    only: Any = place.tells("get", "httproute", "only")
    assert only["metadata"]["annotations"] == {CLUSTER: "west"}


def test_a_list_has_a_column_while_there_are_several(place: Place) -> None:
    heads, *lines = place.prints("get", "httproutes").splitlines()
    assert heads.split()[:3] == ["CLUSTER", "NAMESPACE", "NAME"]
    assert [line.split()[:3] for line in lines] == [
        ["east", "default", "away"],
        ["west", "default", "away"],
        ["west", "default", "only"],
    ]
    heads, *lines = place.prints("get", "httproutes", "--cluster", "east").splitlines()
    assert (heads.split()[:2], [line.split()[:2] for line in lines]) == (["NAMESPACE", "NAME"], [["default", "away"]])
    items: Any = place.tells("get", "gateways")
    assert [one["metadata"]["annotations"][CLUSTER] for one in items["items"]] == ["east", "west"]


def test_the_graph_says_whose_a_node_is(place: Place) -> None:
    nodes: Any = place.tells("graph", "gateways")
    assert [one["cluster"] for one in nodes] == ["east", "west"]
    (node,) = place.tells("graph", "gateways", "--cluster", "west")  # type: ignore[misc]
    assert node["gateway"].startswith("west/")
    heads, *lines = place.prints("graph", "gateways").splitlines()
    assert (heads.split()[0], [line.split()[0] for line in lines]) == ("CLUSTER", ["east", "west"])
    assert place.prints("graph", "gateways", "--cluster", "west").split()[0] == "GATEWAY"


def test_status_says_whose_each_line_is(place: Place) -> None:
    text = place.prints("status")
    assert "east: HTTPRoute/default/away  parent edge: ResolvedRefs=False" in text
    assert "west: HTTPRoute/default/only  parent edge: ResolvedRefs=False" in text
    assert "refused     west: x.yaml:3: a tab in west" in text
    text = place.prints("status", "--cluster", "east")
    assert "HTTPRoute/default/away  parent edge: ResolvedRefs=False" in text
    assert "refused     x.yaml:3: a tab in east" in text
    assert "west" not in text
    answer: Any = place.tells("status", "Gateway/edge")
    assert [one["cluster"] for one in answer["objects"]] == ["east", "west"]
    answer = place.tells("status", "--cluster", "west")
    assert {one["cluster"] for one in (*answer["objects"], *answer["refused"])} == {"west"}


def test_the_log_of_one_cluster(place: Place) -> None:
    found: Any = place.tells("log", "--cluster", "west")
    assert {one["cluster"] for one in found} == {"west"}
    assert place.tells("log", "--cluster", "west", "--limit", "1") == found[-1:]
    whole: Any = place.tells("log")
    assert {one["cluster"] for one in whole} >= {"east", "west"}


@pytest.mark.parametrize("words", [("get", "gateways"), ("graph", "routes"), ("status",)])
def test_a_cluster_that_is_not_there_is_told_with_those_that_are(place: Place, words: tuple[str, ...]) -> None:
    result = place.run(*words, "--cluster", "north")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "penstock: there is no cluster north in the log: it has east and west\n"


def test_the_environment_names_one_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_CLUSTER", "west")
    assert place.tells("get", "httproute", "away")["metadata"]["annotations"] == {CLUSTER: "west"}  # type: ignore[index]
    monkeypatch.setenv("PENSTOCK_CLUSTER", "West/1")
    result = place.run("status")
    assert result.exit_code == 2
    assert "PENSTOCK_CLUSTER: 'West/1' is none of its values" in result.stderr


def test_a_proxy_of_one_name_in_two_clusters_is_not_guessed(place: Place) -> None:
    edges, ones = ("east/{}/default/edge", "west/{}/default/edge"), ("west/{}/other/one", "west/{}/more/one")
    for at, gateway in enumerate((*edges, *ones, "east/{}/default/out@north")):
        path = place.data / "proxies" / str(at) / "process.json"
        remember(path, running(os.getpid()), gateway=gateway.format(f"{_API}/Gateway"), admin_file="/nowhere")

    def dump(*words: str) -> Result:
        return CliRunner().invoke(app, ["dump", *words, "--data", str(place.data)])

    for asked, said in (
        (("edge",), "Gateway edge is in clusters east and west: name one with --cluster"),
        (("default/edge",), "Gateway default/edge is in clusters east and west: name one with --cluster"),
        (("one",), "Gateway one is in namespaces more and other: write NAMESPACE/NAME"),
    ):
        result = dump(*asked)
        assert (result.exit_code, result.stderr) == (2, f"penstock: {said}\n")
    assert "proxy of Gateway edge is still starting" in dump("edge", "--cluster", "east").stderr
    assert "no local proxy of Gateway edge runs in cluster north" in dump("edge", "--cluster", "north").stderr
    assert "no local proxy of Gateway out runs in cluster east" in dump("out", "--cluster", "east").stderr
    assert "proxy of Gateway out is still starting" in dump("out", "--cluster", "north").stderr


def test_check_says_whose_each_line_is(tmp_path: Path) -> None:
    for cluster in ("east", "west"):
        (tmp_path / cluster).mkdir()
        for put in _puts(cluster, "away"):
            (tmp_path / cluster / f"{put.ref.kind}.json").write_text(json.dumps(put.object))
        (tmp_path / cluster / "bad.yaml").write_text("\tno")
    answer = judge([(one, tmp_path / one) for one in ("east", "west")])
    assert [one["cluster"] for one in answer["refused"]] == ["east", "west"]
    assert {one["cluster"] for one in answer["conditions"]} == {"east", "west"}
    result = CliRunner().invoke(app, ["check", *(f"{one}={tmp_path / one}" for one in ("east", "west"))])
    assert {line.partition(": ")[0] for line in result.stdout.splitlines()[:-1]} == {"east", "west"}


def test_what_was_printed_may_be_written_back() -> None:
    """The note of its cluster is the command's: an object that is written to a file with it is the same."""
    put = _puts("east")[0]
    metadata = {**put.object["metadata"], "annotations": {CLUSTER: "east", STALE_SINCE: TIME}}
    again = stamped(put.ref, {**put.object, "metadata": metadata}, put.object, TIME, Sealer(bytes(KEY_BYTES)))
    assert again == put.object


async def _connected(place: Place, cluster: str, elsewhere: str = "", *, is_now: bool = True) -> None:
    gateway = f"{cluster}/{_API}/Gateway/default/edge{elsewhere}"
    proxy = {"connected": is_now, "offset": 1, "version": "1.40.0", "error": "", "time": TIME}
    row = {"gateway": gateway, "proxies": {"p": proxy}, "lowest": 1, "acknowledged": 1}
    async with KafkaLog(place.brokers, place.prefix).appender() as writer:
        await writer.write([Outgoing(Topic.CONVERGENCE, 0, key("default", gateway), dumps(row))])


def test_a_cluster_is_forgotten_by_name_only(broker: str, tmp_path: Path, resolves: Callable[..., None]) -> None:
    """Its objects and refusals go, in one change set that says who did it; no other cluster is touched."""
    place = place_of(broker, tmp_path)
    resolves(place)
    before: Any = place.tells("get", "gateways", "--cluster", "east")
    assert "Aborted" in place.run("forget", "west").stderr
    north = place.run("forget", "north", "--yes")
    assert (north.exit_code, north.stderr) == (1, "penstock: there is no cluster north in the log: it has east and west\n")
    with lock(place.data):
        note(place.data, ["east", "west"])
        assert "is watched by the `penstock run` of" in place.run("forget", "west", "--yes").stderr
        note(place.data, ["east"])
        told = place.run("forget", "west", "--yes")
    assert (told.exit_code, told.stdout) == (0, "cluster west: 3 objects deleted\n")
    assert place.tells("get", "gateways") == before
    (last,) = place.tells("log", "--limit", "1")  # type: ignore[misc]
    assert (last["cluster"], {one["verb"] for one in last["changes"]}) == ("west", {"delete", "admitted", "reachable"})
    assert last["actor"].endswith(" (forget)")
    assert "west" not in place.prints("status")
    # A proxy that is told of still, though nothing of its cluster is there, is not taken for another's.
    asyncio.run(_connected(place, "west"))
    assert "proxy       west: default/edge: connected" in place.prints("status")
    # Of a Gateway that is there those too that it has elsewhere, as of where they are, though none is connected.
    asyncio.run(_connected(place, "east", "@north", is_now=False))
    assert "proxy       north: default/edge@north: gone" in place.prints("status")
    answer: Any = place.tells("status", "--cluster", "north")
    assert [one["gateway"] for one in answer["proxies"]] == [f"east/{_API}/Gateway/default/edge@north"]
    # One whose first listing never ended has objects that wait for its end.
    asyncio.run(tell(place, "south", SyncBegin(), *_puts("south", "away")))
    asyncio.run(tell(place, "south", Refused("y.yaml:1", None, "a tab")))
    assert place.run("forget", "south", "--yes").stdout == "cluster south: 2 objects deleted\n"
    assert "south" not in place.prints("status")


def test_a_cluster_that_was_not_forgotten_is_told_of(broker: str, tmp_path: Path, resolves: Callable[..., None]) -> None:
    """It said how many objects were deleted, though none was."""
    place = place_of(broker, tmp_path)
    resolves(place, ("cluster/west", signer(ROOT).public))
    done = place.run("forget", "west", "--yes")
    assert (done.exit_code, "deleted" in done.stdout) == (3, False)
    assert "and was rejected there: it says to be of source files of cluster west: not signed" in done.stderr
    assert len(place.prints("get", "gateways", "--cluster", "west").splitlines()) == 2


def test_a_stale_cluster_is_told_of_until_it_is_reached_or_forgotten(broker: str, tmp_path: Path, resolves: Callable[..., None]) -> None:
    """No object describes it."""
    place = place_of(broker, tmp_path)
    resolves(place)
    before = place.prints("status"), place.prints("get", "gateways")
    asyncio.run(tell(place, "west", Unreachable(TIME)))
    line = f"stale       cluster west since {TIME}: its watcher cannot reach it"
    assert line in place.prints("status")
    assert line in place.prints("status", "httproute/only")
    assert line not in place.prints("status", "--cluster", "east")
    assert line not in place.prints("status", "--at", "1")
    answer: Any = place.tells("status")
    assert answer["stale"] == [{"cluster": "west", "since": TIME}]
    assert [f"stale since {TIME}" in one for one in place.prints("get", "gateways").splitlines()] == [False, False, True]
    gateways: Any = place.tells("get", "gateways")
    assert [one["metadata"]["annotations"].get(STALE_SINCE) for one in gateways["items"]] == [None, TIME]
    asyncio.run(tell(place, "west", Reachable()))
    assert (place.prints("status"), place.prints("get", "gateways")) == before
    # One of which nothing was ever seen is in the log by that alone.
    asyncio.run(tell(place, "north", Unreachable(TIME)))
    assert "cluster north since" in place.prints("status")
    assert place.run("forget", "north", "--yes").stdout == "cluster north: 0 objects deleted\n"
    assert "north" not in place.prints("status")


def test_what_is_not_watched_is_said_as_far_as_it_is_known(broker: str, tmp_path: Path) -> None:
    place = place_of(broker, tmp_path)
    assert "unwatched" not in place.prints("status")
    note(place.data, ["east"])
    (line,) = [one for one in place.prints("status").splitlines() if one.startswith("unwatched")]
    assert "cluster west is not watched by this run: 3 objects of it" in line
    assert "`penstock forget west`" in line
    answer: Any = place.tells("status")
    assert answer["absent"] == [{"cluster": "west", "objects": 3}]
    note(place.data, ["east", "west", "north"])
    assert "unwatched" not in place.prints("status")


async def test_a_run_names_what_it_serves_and_does_not_watch(broker: str, tmp_path: Path) -> None:
    """And not what is asked for, a certificate here, which stands beside the proxies that are wanted."""
    place = await asyncio.to_thread(place_of, broker, tmp_path)
    log = KafkaLog(place.brokers, place.prefix)
    (edge,) = _puts("east")
    tls = {"name": "https", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "certificate"}]}}
    metadata = {**edge.object["metadata"], "generation": 2}
    await tell(place, "east", Put(edge.ref, {**edge.object, "metadata": metadata, "spec": {**edge.object["spec"], "listeners": [tls]}}))
    said: list[tuple[str, str]] = []
    for sources in (("east", "west"), ("east",)):
        outside = Outside({one: Role("watch", ("watch", one)) for one in sources})
        run = Standalone(Settings(data=tmp_path), outside, {}, lambda *one: said.append(one), lambda *_: asyncio.sleep(0))
        await run._tell_absent(log)
    assert said == [("run", f"warning: {words('west', 3)}")]


def test_what_a_cluster_object_describes_has_a_watcher_of_its_own(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one of the configuration cluster says so; and it is not forgotten while that stands there."""
    place = place_of(broker, tmp_path)
    note(place.data, ["east"])
    ref = Ref("east", "penstock.dev", "Cluster", "", "west")
    metadata = {"name": "west", "generation": 1, "creationTimestamp": TIME}
    object_ = {"apiVersion": "penstock.dev/v1alpha1", "kind": "Cluster", "metadata": metadata, "spec": {}}
    asyncio.run(tell(place, "east", Put(ref, object_)))
    assert "cluster west is not watched" in place.prints("status")

    def configured(*words: str) -> Result:
        monkeypatch.setenv("PENSTOCK_CONFIGURATION_CLUSTER", "east")
        try:
            return place.run(*words)
        finally:
            monkeypatch.delenv("PENSTOCK_CONFIGURATION_CLUSTER")

    assert "unwatched" not in configured("status").stdout
    said = configured("forget", "west", "--yes")
    assert (said.exit_code, said.stderr) == (1, "penstock: cluster west has a Cluster object in east: delete that first\n")
    sources = {"east": Role("watch", ("watch", "east"))}
    told: list[tuple[str, str]] = []
    settings = Settings(data=tmp_path, configuration_cluster="east")
    run = Standalone(settings, Outside(sources), {}, lambda *one: told.append(one), lambda *_: asyncio.sleep(0))
    asyncio.run(run._tell_absent(KafkaLog(place.brokers, place.prefix)))
    assert told == []
    asyncio.run(tell(place, "east", Delete(ref)))
    assert "unwatched" in configured("status").stdout
