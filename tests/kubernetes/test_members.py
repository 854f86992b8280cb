"""Members come, change and go by Cluster objects; what is the matter with one is told, and is nobody else's."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from engine.models.kinds import KINDS
from engine.seal import KEY_BYTES, Sealer
from streams.clock import now
from streams.kubernetes.access import AccessError, kubeconfig, way
from streams.kubernetes.cluster import Conflict, Forbidden, Page, Served, Target
from streams.kubernetes.member import Member, Places
from streams.kubernetes.members import Members
from streams.kubernetes.memory import MemoryCluster
from streams.kubernetes.profiles import Inventory
from streams.memory import MemoryLog
from streams.ports import Superseded
from streams.sources.kubernetes.source import KubernetesOptions, watch_cluster
from streams.telemetry import Health
from tests.support.roles import working

_CLUSTER = Served("penstock.dev", "v1alpha1", "clusters")
SEALER = Sealer(bytes(range(KEY_BYTES)))
_SECONDS = 60.0


class Hub(MemoryCluster):
    """A configuration cluster in memory: statuses are put into the objects, as an API server would."""

    def __init__(self) -> None:
        super().__init__({("penstock.dev", "Cluster"): _CLUSTER})
        self.writes: list[str] = []

    async def apply(self, target: Target, object_: Mapping[str, Any], manager: str, subresource: str) -> Any:
        assert (manager, subresource) == ("penstock-members", "status")
        (found,) = (await self.page(target, "", 0)).objects
        self.writes.append(target.name)
        after = {**found, "status": object_["status"]}
        await self.put(after)
        return after

    async def write(self, target: Target, object_: Mapping[str, Any]) -> Any:
        if (await self.page(target, "", 0)).objects:
            raise Conflict("it already exists")
        metadata = {**object_["metadata"], "name": target.name}
        await self.put({"apiVersion": target.api_version, "kind": target.kind, **object_, "metadata": metadata})

    async def told(self, name: str) -> tuple[str, str] | None:
        """Reason and message of the condition."""
        found = (await self.page(Target(*_CLUSTER[:1], "Cluster", "clusters", "v1alpha1", name=name), "", 0)).objects
        conditions = ((found[0].get("status") or {}).get("conditions", ())) if found else ()
        return next(((one["reason"], one["message"]) for one in conditions), None)


class Refusing(MemoryCluster):
    """One that lets nobody read Services for a while."""

    refuses = False

    async def page(self, target: Target, token: str, limit: int) -> Page:
        if self.refuses and target.kind == "Service":
            raise Forbidden("services is forbidden (HTTP 403)")
        return await super().page(target, token, limit)


class Fleet:
    """Clusters by the name that a context or a token gives, and who works at them."""

    def __init__(self) -> None:
        served = {(kind.group, kind.name): Served(kind.group, kind.versions[0], kind.plural) for kind in KINDS if kind.group}
        self.hub, self.log = Hub(), MemoryLog()
        self.clusters: dict[str, MemoryCluster] = {name: MemoryCluster(served) for name in ("east", "west")}
        self.clusters["north"] = Refusing(served)
        self.begun: list[tuple[str, str]] = []
        self.working: dict[str, str] = {}
        self.fails: dict[str, Exception] = {}
        self.ends_after = 0.0

    @asynccontextmanager
    async def reach(self, given: Path | Mapping[str, Any] | None, context: str) -> AsyncIterator[Any]:
        name = context if isinstance(given, Path) else str((given or {}).get("current-context"))
        if name not in self.clusters:
            msg = f"there is no context {name}"
            raise AccessError(msg)
        yield self.clusters[name]

    async def work(self, member: Member) -> None:
        where = next(name for name, one in self.clusters.items() if one is member.server)
        self.begun.append((member.name, where))
        assert member.name not in self.working, "two work at one member"
        self.working[member.name] = where
        try:
            if member.name in self.fails:
                raise self.fails.pop(member.name)
            options = KubernetesOptions(member.name, now, telemetry=member.telemetry)
            await watch_cluster(self.log, SEALER, member.heard, options)
        finally:
            until_then = time.monotonic() + self.ends_after
            while time.monotonic() < until_then:  # However often it is told to.
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.02)
            del self.working[member.name]

    @asynccontextmanager
    async def kept(self, kubeconfig: Path | None = Path("contexts"), inventory: Inventory | None = None) -> AsyncIterator[Members]:
        places = Places("hub", self.hub, kubeconfig)
        members = Members(places, self.reach, self.work, self.hub, inventory, lambda: 20 * time.monotonic())
        async with working(members.run(Health())):
            yield members

    async def tells(self, name: str, reason: str, words: str = "") -> None:
        await until(lambda: self.hub.told(name), lambda told: told is not None and told[0] == reason and words in told[1])


async def until(question: Callable[[], Any], fits: Callable[[Any], bool]) -> None:
    answer: Any = None
    try:
        async with asyncio.timeout(_SECONDS):
            while not fits(answer := await question()):
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"did not come true: {answer}")


def cluster(name: str, **access: Any) -> dict[str, Any]:
    spec = {"access": access} if access else {}
    return {"apiVersion": "penstock.dev/v1alpha1", "kind": "Cluster", "metadata": {"name": name}, "spec": spec}


def in_secret(name: str, said: Any) -> dict[str, Any]:
    data = {"kubeconfig": base64.b64encode(orjson.dumps(said)).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "infra", "name": name}, "data": data}


_WEST = {"namespace": "infra", "name": "west", "key": "kubeconfig"}


async def test_members_come_change_and_go_one_by_one() -> None:
    fleet = Fleet()
    await fleet.hub.put(cluster("east", context="east"))
    await fleet.hub.put(cluster("beside"))
    async with fleet.kept():
        await fleet.tells("east", "Watched")
        await fleet.hub.put(cluster("west", context="west"))
        await fleet.tells("west", "Watched")
        await fleet.hub.put({**cluster("east", context="east"), "spec": {"access": {"context": "east"}, "region": "eu"}})
        await fleet.hub.put(cluster("west", context="north"))
        await until(lambda: _now(fleet.working), lambda there: there == {"east": "east", "west": "north"})
        await fleet.hub.delete(cluster("east"))
        await until(lambda: _now(fleet.working), lambda there: there == {"west": "north"})
        assert fleet.begun == [("east", "east"), ("west", "west"), ("west", "north")], "the others went on"
        await fleet.hub.put(cluster("west"))
        await until(lambda: _now(fleet.working), lambda there: not there)
        await until(lambda: fleet.hub.told("west"), lambda told: told is None)
        assert "beside" not in fleet.hub.writes, "who has a watcher of its own is told nothing"


async def test_who_waited_for_one_that_ends_hands_the_wait_on() -> None:
    fleet = Fleet()
    fleet.ends_after = 0.5
    await fleet.hub.put(cluster("west", context="west"))
    async with fleet.kept():
        await until(lambda: _now(fleet.working), lambda there: there == {"west": "west"})
        await fleet.hub.put(cluster("west", context="north"))
        await asyncio.sleep(0.05)
        await fleet.hub.put(cluster("west", context="east"))
        await until(lambda: _now(fleet.working), lambda there: there == {"west": "east"})
        assert fleet.begun == [("west", "west"), ("west", "east")]


async def _now(there: dict[str, str]) -> dict[str, str]:
    return dict(there)


async def test_a_secret_that_comes_changes_and_goes_is_followed() -> None:
    fleet = Fleet()
    await fleet.hub.put(cluster("west", kubeconfig=_WEST))
    await fleet.hub.put(cluster("east", context="east"))
    async with fleet.kept(None) as members:
        await fleet.tells("west", "InvalidAccess", "Secret infra/west is not there")
        await fleet.tells("east", "InvalidAccess", "PENSTOCK_MEMBERS_KUBECONFIG")
        await fleet.hub.put(in_secret("west", {"current-context": "west"}))
        await fleet.tells("west", "Watched")
        await fleet.hub.put({**in_secret("west", {"current-context": "west"}), "type": "Opaque"})
        await fleet.hub.put(in_secret("west", {"current-context": "north"}))
        await until(lambda: _now(fleet.working), lambda there: there == {"west": "north"})
        assert fleet.begun == [("west", "west"), ("west", "north")], "the same kubeconfig is no reason to begin anew"
        await fleet.hub.put(in_secret("west", {"users": [{"name": "u", "user": {"exec": {"command": "sh"}}}]}))
        await fleet.tells("west", "InvalidAccess", "has exec")
        assert not fleet.working
        await fleet.hub.delete(in_secret("west", {}))
        await fleet.tells("west", "InvalidAccess", "is not there")
        assert members.kept.keys() == {"west", "east"}


async def test_what_follows_a_secret_begins_anew_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet, mistakes = Fleet(), [ZeroDivisionError("a secret word")]

    def mistaken(*said: Any) -> Any:
        if mistakes:
            raise mistakes.pop()
        return kubeconfig(*said)

    monkeypatch.setattr("streams.kubernetes.member.kubeconfig", mistaken)
    await fleet.hub.put(in_secret("west", {"current-context": "west"}))
    await fleet.hub.put(cluster("west", kubeconfig=_WEST))
    async with fleet.kept():
        await fleet.tells("west", "Failed", "what follows its Secret ended with ZeroDivisionError")
        await fleet.tells("west", "Watched")


async def test_what_is_the_matter_with_one_is_told_and_harms_no_other() -> None:
    fleet = Fleet()
    refusing = cast("Refusing", fleet.clusters["north"])
    refusing.refuses = True
    fleet.fails = {"odd": ValueError("a secret word"), "taken": Superseded("another watcher of cluster taken")}
    for one in (cluster("east", context="east"), cluster("north", context="north"), cluster("none", context="none"),
                cluster("hub", context="east"), cluster("dotted.name", context="east"), cluster("both", context="x", kubeconfig=_WEST),
                cluster("odd", context="west"), cluster("taken", context="west")):  # fmt: skip
        await fleet.hub.put(one)
    async with fleet.kept():
        await fleet.tells("taken", "Superseded", "another watcher")
        await fleet.tells("none", "InvalidAccess", "no context none")
        await fleet.tells("hub", "InvalidAccess", "configuration cluster")
        await fleet.tells("dotted.name", "InvalidAccess", "no name for a cluster")
        await fleet.tells("both", "InvalidAccess", "give one of the two")
        await fleet.tells("north", "Forbidden", "services is forbidden")
        await fleet.tells("odd", "Failed", "ended with ValueError")
        await fleet.tells("odd", "Watched")
        refusing.refuses = False
        await fleet.tells("north", "Watched")
        await fleet.clusters["east"].stop()
        await fleet.tells("east", "Unreachable", "connection refused")
        await fleet.clusters["east"].start()
        await fleet.tells("east", "Watched")
        begun = [name for name, _ in fleet.begun]
        assert begun.count("odd") == 2, "what failed is tried again"
        assert begun.count("taken") == 1, "who was superseded does not take its place back"
        writes = len(fleet.hub.writes)
        await fleet.hub.put(cluster("west", context="west"))
        await fleet.tells("west", "Watched")
        assert set(fleet.hub.writes[writes:]) == {"west"}, "nothing is written that changes nothing"


async def test_a_configuration_cluster_that_cannot_be_reached_ends_nobodys_watch() -> None:
    fleet = Fleet()
    await fleet.hub.put(cluster("east", context="east"))
    async with fleet.kept():
        await fleet.tells("east", "Watched")
        await fleet.hub.stop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                while fleet.working == {"east": "east"}:
                    await asyncio.sleep(0.02)
        await fleet.hub.start()
        await fleet.hub.put(cluster("west", context="west"))
        await fleet.tells("west", "Watched")
        assert fleet.begun == [("east", "east"), ("west", "west")]


def _said(**users: Any) -> dict[str, Any]:
    return {"users": [{"name": "u", "user": users}], "clusters": [{"name": "c", "cluster": {"server": "https://x"}}]}


@pytest.mark.parametrize(
    ("user", "field"),
    [
        ({"exec": {"command": "sh"}}, "exec"),
        ({"auth-provider": {"name": "gcp", "config": {"cmd-path": "sh"}}}, "auth-provider"),
        ({"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}, "tokenFile"),
        ({"client-key": "/etc/penstock/sealing.key"}, "client-key"),
        ({"client-certificate": "/etc/tls.crt"}, "client-certificate"),
    ],
)
def test_a_kubeconfig_of_a_secret_runs_and_reads_nothing_here(user: dict[str, Any], field: str) -> None:
    said = way(cluster("west", kubeconfig=_WEST))
    assert said is not None
    with pytest.raises(AccessError, match=f"has {field}: "):
        kubeconfig(said, in_secret("west", _said(**user)))
    assert kubeconfig(said, in_secret("west", _said(token="t")))["users"]


@pytest.mark.parametrize(
    "data",
    [{}, {"other": "eA=="}, {"kubeconfig": "%%%"}, {"kubeconfig": "/w=="}, {"kubeconfig": base64.b64encode(b"[" * 60_000).decode()},
     {"kubeconfig": base64.b64encode(b"a: b\n" * 20_000).decode()}, {"kubeconfig": base64.b64encode(b"- a").decode()},
     {"kubeconfig": base64.b64encode(b"a: !!python/name:os.system").decode()},
     *({"kubeconfig": base64.b64encode(one).decode()} for one in (
         b"a: 1" + b":0" * 200 + b".5", b"a: 0x" + b"f" * 5_000, b"a: !!timestamp x", b"a: !!bool x", b"a: !!int ''", b"a: &a [x]\nb: [*a, *a]"))],
    ids=["empty", "other", "base64", "utf8", "deep", "large", "list", "tag", "sixties", "digits", "time", "bool", "int", "aliases"],
)  # fmt: skip
def test_what_is_no_kubeconfig_is_said_so(data: dict[str, str]) -> None:
    said = way(cluster("west", kubeconfig=_WEST))
    assert said is not None
    with pytest.raises(AccessError, match="infra/west"):
        kubeconfig(said, {**in_secret("west", {}), "data": data})
