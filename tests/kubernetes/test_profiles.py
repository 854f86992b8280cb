"""Members come, change and go by ClusterProfiles, beside Cluster objects, which go before them."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from streams.clock import now
from streams.controller import Access, _Led
from streams.kubernetes.client import connect
from streams.kubernetes.cluster import ClusterError, Forbidden, NotServed, Page, Served, Target
from streams.kubernetes.member import Member, Places
from streams.kubernetes.members import PROFILE, Members
from streams.kubernetes.profiles import Inventory, Profiles
from streams.memory import MemoryLog
from streams.settings import Settings
from streams.sources.kubernetes.source import KubernetesOptions, watch_cluster
from streams.telemetry import Health, Telemetry
from tests.kubernetes.bed.api import Api
from tests.kubernetes.bed.server import TOKEN, ApiServerProcess
from tests.kubernetes.test_members import SEALER, Fleet, Hub, cluster, until
from tests.support.roles import working

_GROUP = "multicluster.x-k8s.io"
_PROFILES = Served(_GROUP, "v1alpha1", "clusterprofiles")
_KIND = (_GROUP, "ClusterProfile")


class Inventoried(Fleet):
    """Clusters that ClusterProfiles of namespace fleet may name, each by the host of its server."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__()
        self.hub._served[_KIND] = _PROFILES
        self.file = tmp_path / "providers.json"
        self.give("fleet")

    def give(self, *names: str) -> None:
        """The file with these providers."""
        plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/plugins/fleet"}
        self.file.write_text(json.dumps({"providers": [{"name": name, "execConfig": plugin} for name in names]}))

    @asynccontextmanager
    async def reach(self, given: Path | Mapping[str, Any] | None, context: str) -> AsyncIterator[Any]:
        if isinstance(given, Mapping) and given["current-context"] == "member":
            (one,) = given["clusters"]
            given = Path(str(urlsplit(one["cluster"]["server"]).hostname))
            context = str(given)
        async with super().reach(given, context) as found:
            yield found

    def inventoried(self, labels: str = "") -> Any:
        return self.kept(inventory=Inventory(("fleet",), labels, self.file))

    async def works_at(self, **there: str) -> None:
        async def now() -> dict[str, str]:
            return dict(self.working)

        await until(now, lambda found: found == there)


def named(
    name: str, server: str, *, within: str = "fleet", cluster: str = "", provider: str = "fleet", **labels: str
) -> dict[str, Any]:
    properties = [{"name": "cluster.clusterset.k8s.io", "value": cluster}] if cluster else []
    return {
        "apiVersion": f"{_GROUP}/v1alpha1", "kind": "ClusterProfile",
        "metadata": {"namespace": within, "name": name, "labels": labels},
        "spec": {"displayName": name, "clusterManager": {"name": "fleet"}},
        "status": {"properties": properties, "accessProviders": [{"name": provider, "cluster": {"server": f"https://{server}"}}]},
    }  # fmt: skip


async def _objects(fleet: Fleet) -> dict[str, Any]:
    """Cluster objects by their names, with their annotations."""
    page = await fleet.hub.page(Target("penstock.dev", "Cluster", "clusters", "v1alpha1"), "", 0)
    return {one["metadata"]["name"]: one["metadata"].get("annotations") for one in page.objects}


async def test_profiles_come_change_and_go(tmp_path: Path) -> None:
    fleet = Inventoried(tmp_path)
    await fleet.hub.put(named("west", "west"))
    await fleet.hub.put(named("elsewhere", "east", within="other"))
    async with fleet.inventoried():
        await fleet.tells("west", "Watched")
        assert await _objects(fleet) == {"west": {PROFILE: "fleet/west"}}, "it is made, to tell in"
        await fleet.hub.put(named("p-1", "east", cluster="east"))
        await fleet.tells("east", "Watched")
        heartbeat = named("west", "west")
        heartbeat["status"]["conditions"] = [{"type": "ControlPlaneHealthy", "status": "False"}]
        await fleet.hub.put(heartbeat)
        await fleet.hub.put(named("p-1", "north", cluster="east"))
        await fleet.works_at(west="west", east="north")
        assert fleet.begun == [("west", "west"), ("east", "east"), ("east", "north")], "the others went on"
        await fleet.hub.delete(named("west", ""))
        await fleet.works_at(east="north")
        await fleet.tells("west", "InvalidAccess", "fleet/west names it no more")
        assert (await _objects(fleet)).keys() == {"east", "west"}, "what was deleted by mistake is no outage"


async def test_a_cluster_object_goes_before_a_profile_and_an_older_profile_before_a_younger(tmp_path: Path) -> None:
    fleet = Inventoried(tmp_path)
    await fleet.hub.put(named("west", "west"))
    await fleet.hub.put(cluster("west", context="north"))
    await fleet.hub.put(cluster("east"))
    await fleet.hub.put(named("a", "east", cluster="east"))
    await fleet.hub.put({**named("0", "north", cluster="east")})
    async with fleet.inventoried():
        await fleet.tells("west", "Watched", "passed over: ClusterProfile fleet/west")
        # Of the same second, the first by its name.
        await fleet.tells("east", "Watched", "passed over: ClusterProfile fleet/a")
        await fleet.works_at(west="north", east="north")
        await fleet.hub.put(cluster("west"))
        await fleet.works_at(west="west", east="north")
        await fleet.hub.delete(named("0", ""))
        await fleet.works_at(west="west", east="east")
        assert await _objects(fleet) == {"west": None, "east": None}, "they are their owners'"


async def test_what_is_the_matter_with_a_profile_is_told_and_harms_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = Inventoried(tmp_path)
    for one in (named("west", "west"), named("a.b", "east"), named("hub", "east"), named("dark", "east", provider="nobody"),
                named("plain", "east/?x"), named("ours", "east", manager="mine")):  # fmt: skip
        await fleet.hub.put(one)
    async with fleet.inventoried() as members:
        await fleet.tells("west", "Watched")
        await fleet.tells("dark", "InvalidAccess", "fleet/dark: status.accessProviders has 'nobody'")
        await fleet.tells("plain", "InvalidAccess", "server is no https")
        await fleet.works_at(west="west", ours="east")
        assert (await _objects(fleet)).keys() == {"west", "dark", "plain", "ours"}
        told = capsys.readouterr().out
        assert "'a.b' is no name for a cluster" in told
        assert "it is the configuration cluster" in told
        # The file is read again; one that cannot be read changes nothing.
        fleet.give("fleet", "nobody")
        await fleet.tells("dark", "Watched")
        fleet.file.write_text("{")
        await until(lambda: _read(capsys), lambda text: "credentials are had as before" in text)
        assert members.kept.keys() == {"west", "dark", "ours"}
    assert [one for one, _ in fleet.begun].count("west") == 1


class _Behind(Hub):
    """One that says nothing of namespace edge for a while: it refuses, or does not serve the kind yet."""

    says: ClusterError | None = None

    async def page(self, target: Target, token: str, limit: int) -> Page:
        if self.says is not None and (target.kind, target.namespace) == ("ClusterProfile", "edge"):
            raise self.says
        return await super().page(target, token, limit)


async def _older_is_not_seen(fleet: Inventoried, says: ClusterError) -> _Behind:
    times = iter(("2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"))
    hub = _Behind()
    hub._now = lambda: next(times, "2026-07-01T00:00:00Z")
    hub._served.update(fleet.hub._served)
    fleet.hub = hub
    await hub.put(named("prod", "east", within="edge", cluster="east"))
    await hub.put(named("copy", "north", within="fleet", cluster="east"))
    await hub.put(cluster("west", context="west"))
    hub.says = says
    return hub


async def test_no_profile_counts_while_an_older_one_may_not_be_seen_yet(tmp_path: Path) -> None:
    fleet = Inventoried(tmp_path)
    hub = await _older_is_not_seen(fleet, Forbidden("clusterprofiles is forbidden (HTTP 403)"))
    await hub.put({**cluster("east"), "metadata": {"name": "east", "annotations": {PROFILE: "edge/prod"}}})
    async with fleet.kept(inventory=Inventory(("fleet", "edge"), "", fleet.file)):
        await fleet.tells("west", "Watched")
        await fleet.tells("east", "Pending", "of namespace edge cannot be listed: clusterprofiles is forbidden (HTTP 403)")
        await fleet.tells("east", "Pending", "leave it out of PENSTOCK_MEMBERS_PROFILES")
        assert fleet.begun == [("west", "west")]
        hub.says = None
        await fleet.works_at(west="west", east="east")
        assert fleet.begun == [("west", "west"), ("east", "east")]


async def test_a_kind_that_comes_comes_to_all_namespaces(tmp_path: Path) -> None:
    fleet = Inventoried(tmp_path)
    hub = await _older_is_not_seen(fleet, NotServed("not found"))
    del hub._served[_KIND]
    async with fleet.kept(inventory=Inventory(("fleet", "edge"), "", fleet.file)) as members:
        await fleet.tells("west", "Watched")
        profiles = members._profiles
        assert profiles is not None
        await hub.serve(_KIND, _PROFILES)
        await until(lambda: _are_seen(profiles), bool)
        assert not profiles.is_listed
        hub.says = None
        await fleet.works_at(west="west", east="east")
        assert fleet.begun == [("west", "west"), ("east", "east")]


async def _are_seen(profiles: Profiles) -> bool:
    return bool(profiles._profiles)


async def _read(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


async def test_the_kind_may_come_later_and_labels_choose(tmp_path: Path) -> None:
    fleet = Inventoried(tmp_path)
    del fleet.hub._served[_KIND]
    await fleet.hub.put(cluster("east", context="east"))
    async with fleet.inventoried("manager=mine"):
        await fleet.tells("east", "Watched")
        await fleet.hub.serve(_KIND, _PROFILES)
        await fleet.hub.put(named("north", "north"))
        await fleet.hub.put(named("west", "west", manager="mine"))
        await fleet.works_at(east="east", west="west")
        await fleet.hub.put(named("west", "west"))
        await fleet.works_at(east="east")


def test_settings_say_which_profiles_count() -> None:
    settings = Settings(configuration_cluster="hub", members_profiles="a, b", members_profile_labels="x=y", members_providers=Path("p"))
    roles = _Led(settings, Access("hub", members=True), "watch", Telemetry())
    assert roles._inventory == Inventory(("a", "b"), "x=y", Path("p"))
    assert replace(roles, settings=Settings(configuration_cluster="hub"))._inventory is None


# -- a real API server ----------------------------------------------------------------------------------------------------

_PLUGIN = """
import json, os, sys
said = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
token = open(sys.argv[1]).read() if said["spec"]["cluster"]["config"] == {"account": "penstock"} else "none"
print(json.dumps({"apiVersion": said["apiVersion"], "kind": "ExecCredential", "status": {"token": token}}))
"""


@pytest.mark.kubernetes
async def test_a_real_api_server_is_reached_by_a_plugin(api_server: ApiServerProcess, tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(_PLUGIN)
    (tmp_path / "token").write_text(TOKEN)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "provideClusterInfo": True,
              "args": [str(tmp_path / "plugin.py"), str(tmp_path / "token")]}  # fmt: skip
    (tmp_path / "providers.json").write_text(json.dumps({"providers": [{"name": "fleet", "execConfig": plugin}]}))
    log = MemoryLog()

    async def work(member: Member) -> None:
        await watch_cluster(log, SEALER, member.heard, KubernetesOptions(member.name, now, telemetry=member.telemetry))

    async with Api(api_server) as api, connect(api_server.kubeconfig(api_server.port)) as server:
        definition = yaml.safe_load((Path(__file__).parent / "clusterprofile.yaml").read_text())
        await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fleet"}}, "tests")
        members = Members(
            Places("hub", server), connect, work, server, Inventory(("fleet",), "", tmp_path / "providers.json")
        )
        try:
            async with working(members.run(Health())):
                await api.apply(definition, "tests")
                await api.established(definition["metadata"]["name"])
                for name, account in (("west", "penstock"), ("north", "nobody")):
                    await api.apply(_real(name, api_server, account), "tests")
                    await api.replace_status(
                        _real(name, api_server, account), _real(name, api_server, account)["status"]
                    )
                await until(lambda: _told(api, "west"), lambda told: told == "Watched")
                await until(lambda: _told(api, "north"), lambda told: told == "Forbidden")
                await api.delete(_real("west", api_server, ""))
                await until(lambda: _told(api, "west"), lambda told: told == "InvalidAccess")
        finally:
            await api.uninstall(definition["metadata"]["name"])
            for name in ("west", "north"):
                await api.delete(cluster(name))


def _real(name: str, server: ApiServerProcess, account: str) -> dict[str, Any]:
    one = named(name, f"{server.address}:{server.port}")
    (offered,) = one["status"]["accessProviders"]
    offered["cluster"] |= {
        "certificate-authority-data": base64.b64encode(server.authority.read_bytes()).decode(),
        "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"account": account}}],
    }
    return one


async def _told(api: Api, name: str) -> str:
    try:
        conditions = ((await api.get(cluster(name))).get("status") or {}).get("conditions", ())
    except AssertionError:
        return ""
    return next((one["reason"] for one in conditions if one["type"] == "Watched"), "")
