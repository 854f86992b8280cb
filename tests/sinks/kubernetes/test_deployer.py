"""The deployer brings a cluster to what the log wants, and keeps it there against everybody else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from engine.update import Delta, Update
from streams.codec import encode_update
from streams.memory import MemoryLog
from streams.ports import Outgoing
from streams.sinks.kubernetes.deployer import Deployer, DeployOptions
from streams.sinks.kubernetes.memory import MemoryObjects
from streams.sinks.kubernetes.objects import GATEWAY, SECRET, WATCHED, Kind, Listed, Seen, Target
from streams.sinks.kubernetes.proxy import Publisher, Template, secret_name
from streams.topics import Topic, key
from tests.sinks.kubernetes.case import identity

_SECONDS = 240.0
"""For what hangs only."""
_TEMPLATE = Template(Publisher("penstock.example.com", 9977, "a CA", "xds.penstock"), identity)
OPTIONS = DeployOptions("local", _TEMPLATE)
_CONFIG, _ACCOUNT, _SERVICE, _DEPLOYMENT = WATCHED[:4]
ALL = ["ConfigMap default/gw", "Deployment default/gw", "Secret default/gw-xds", "Service default/gw", "ServiceAccount default/gw"]


def row(name: str = "gw", cluster: str = "local", **fields: Any) -> dict[str, Any]:
    return {
        "gateway": f"{cluster}/gateway.networking.k8s.io/Gateway/default/{name}", "name": name, "namespace": "default",
        "class": "penstock", "proxy": name, "ports": [{"port": 80, "protocol": "TCP"}], "labels": {}, "annotations": {},
        "addresses": [], "parameters": {}, "overlays": [], "held": "", **fields,
    }  # fmt: skip


class Site:
    """A log with rows, and a cluster with Gateways."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.objects = MemoryObjects()
        self.offset = 0

    async def wants(self, *rows: dict[str, Any], gone: tuple[dict[str, Any], ...] = ()) -> None:
        self.offset += 1
        infra = Delta({one["gateway"]: one for one in rows}, frozenset(one["gateway"] for one in gone))
        update = Update(self.offset, "2026-11-24T12:00:00.000Z", infra=infra)
        async with self.log.writer("resolver") as writer:
            await writer.write(encode_update("default", 0, update, {}))

    async def gateway(self, name: str = "gw", uid: str = "uid-of-gw") -> None:
        metadata = {"name": name, "namespace": "default", "uid": uid}
        await self.objects.put({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata})

    @asynccontextmanager
    async def deploying(self, options: DeployOptions = OPTIONS) -> AsyncIterator[Deployer]:
        deployer = Deployer(self.objects, options)
        task = asyncio.create_task(deployer.follow(self.log))
        try:
            yield deployer
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @asynccontextmanager
    async def deployed(self) -> AsyncIterator[Deployer]:
        """Of one Gateway all is there, and nothing is left to be done; what was written for that is forgotten."""
        await self.gateway()
        await self.wants(row())
        async with self.deploying() as deployer:
            await until(lambda: self.found() == ALL)
            await idle(deployer)
            self.objects.calls.clear()
            yield deployer

    def found(self) -> list[str]:
        """All objects but Gateways."""
        return [one for one in sorted(self.objects.all()) if not one.startswith("Gateway")]

    def one(self, name: str) -> dict[str, Any]:
        return self.objects.all()[name]


@pytest.fixture
def site() -> Site:
    return Site()


async def until(question: Callable[[], object]) -> None:
    async with asyncio.timeout(_SECONDS):
        while not question():
            await asyncio.sleep(0.01)


async def idle(deployer: Deployer) -> None:
    """Nothing is left to be done, nor begun, and nothing of what was written is still on its way back."""
    for _ in range(3):
        await until(lambda: deployer.is_told and waits(deployer) and deployer.listed.issuperset(WATCHED))
        for _ in range(20):
            await asyncio.sleep(0)


def waits(deployer: Deployer) -> bool:
    """Whether it has looked at all that it knows, and can do nothing more."""
    return not deployer.dirty and not deployer.wake.is_set() and bool(deployer.wake._waiters)  # type: ignore[attr-defined]


async def test_what_is_wanted_is_there_with_its_owner(site: Site) -> None:
    async with site.deployed():
        for name in ALL:
            (owner,) = site.one(name)["metadata"]["ownerReferences"]
            assert owner["uid"] == "uid-of-gw"


async def test_what_is_not_wanted_any_more_goes(site: Site) -> None:
    await site.gateway()
    await site.gateway("other", "uid-of-other")
    await site.wants(row(), row("other"))
    async with site.deploying():
        await until(lambda: len(site.found()) == 10)
        await site.wants(gone=(row(),))
        await until(lambda: len(site.found()) == 5)
        assert all("other" in one for one in site.found())


async def test_of_a_gateway_that_took_its_objects_along_nothing_is_kept(site: Site) -> None:
    """As the API server's garbage collector has it, before the log says so."""
    async with site.deployed() as deployer:
        for kind in (GATEWAY, *WATCHED):
            await site.objects.delete(Target(kind, "default", "gw"))
        await site.objects.delete(Target(SECRET, "default", secret_name("gw")))
        await site.wants(gone=(row(),))
        await until(lambda: not deployer.wanted)
        await idle(deployer)
        assert (site.found(), deployer.seen, deployer.paces, deployer.applied) == ([], {}, {}, {})


async def test_what_went_while_nobody_deployed_goes_at_the_next_start(site: Site) -> None:
    async with site.deployed():
        pass
    await site.wants(gone=(row(),))
    async with site.deploying():
        await until(lambda: site.found() == [])


async def test_nothing_is_removed_before_the_log_has_spoken(site: Site) -> None:
    """A log that says nothing yet does not say that nothing is wanted."""
    async with site.deployed():
        pass
    site.log = MemoryLog()
    async with site.deploying() as deployer:
        await until(lambda: deployer.listed.issuperset(WATCHED) and not deployer.wake.is_set())
        # It has looked, and let be what it would otherwise have begun.
        assert deployer.dirty == {("default", "gw")}
        assert site.found() == ALL


async def test_a_second_start_writes_nothing(site: Site) -> None:
    async with site.deployed():
        pass
    async with site.deploying() as deployer:
        await idle(deployer)
    assert site.objects.calls == []


async def test_only_what_differs_is_written(site: Site) -> None:
    async with site.deployed() as deployer:
        await site.wants(row(ports=[{"port": 80, "protocol": "TCP"}, {"port": 443, "protocol": "TCP"}]))
        await until(lambda: len(site.one("Service default/gw")["spec"]["ports"]) == 2)
        await idle(deployer)
    assert site.objects.calls == ["apply Service default/gw"]


async def test_what_somebody_deletes_comes_back(site: Site) -> None:
    async with site.deployed():
        await site.objects.delete(Target(_SERVICE, "default", "gw"))
        await until(lambda: site.found() == ALL)


@pytest.mark.parametrize("change", ["image", "label", "owner"])
async def test_what_somebody_changes_is_changed_back(site: Site, change: str) -> None:
    async with site.deployed():
        wanted = site.one("Deployment default/gw")
        changed = site.one("Deployment default/gw")
        match change:
            case "image":
                changed["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
            case "label":
                # It is not seen by its label then: it is still owned by the Gateway.
                del changed["metadata"]["labels"]
            case "owner":
                changed["metadata"]["ownerReferences"] = []
        await site.objects.put(changed)
        await until(lambda: _without_version(site.one("Deployment default/gw")) == _without_version(wanted))


def _without_version(object_: dict[str, Any]) -> dict[str, Any]:
    return {**object_, "metadata": {**object_["metadata"], "resourceVersion": ""}}


async def test_what_others_add_stays(site: Site) -> None:
    async with site.deployed() as deployer:
        added = site.one("Deployment default/gw")
        added["metadata"]["annotations"]["theirs"] = "1"
        added["spec"]["replicas"] = 7
        added["status"] = {"readyReplicas": 7}
        await site.objects.put(added)
        await idle(deployer)
        assert site.objects.calls == []
        assert site.one("Deployment default/gw")["spec"]["replicas"] == 7


async def test_another_gateway_of_the_name_is_the_new_owner(site: Site) -> None:
    async with site.deployed():
        await site.objects.delete(Target(GATEWAY, "default", "gw"))
        await site.gateway(uid="uid-of-the-next")
        await site.wants(row())
        await until(
            lambda: [one["uid"] for one in site.one("Service default/gw")["metadata"]["ownerReferences"]] == ["uid-of-the-next"]
        )


async def test_a_held_row_changes_nothing_and_begins_nothing(site: Site) -> None:
    await site.gateway("new", "uid-of-new")
    async with site.deployed() as deployer:
        await site.wants(row(held="InvalidParameters", ports=[]), row("new", held="InvalidParameters"))
        await until(lambda: len(deployer.wanted) == 2)
        await idle(deployer)
        assert site.objects.calls == []
        assert site.found() == ALL


async def test_of_another_cluster_nothing_is_deployed(site: Site) -> None:
    await site.gateway()
    await site.wants(row(cluster="east"))
    async with site.deploying() as deployer:
        await idle(deployer)
        assert site.found() == []


async def test_a_gateway_that_is_not_there_yet_gets_nothing(site: Site) -> None:
    await site.wants(row())
    async with site.deploying() as deployer:
        await idle(deployer)
        assert site.found() == []


async def test_without_ports_there_is_no_service(site: Site) -> None:
    async with site.deployed():
        await site.wants(row(ports=[]))
        await until(lambda: "Service default/gw" not in site.found())
        await site.wants(row())
        await until(lambda: site.found() == ALL)


async def test_what_is_rejected_is_tried_again_and_keeps_nothing_back(site: Site) -> None:
    await site.gateway()
    target = Target(_DEPLOYMENT, "default", "gw")
    site.objects.refused[target] = "spec.template: Invalid value"
    await site.wants(row())
    async with site.deploying():
        await until(lambda: len(site.found()) == 4)
        site.objects.refused.clear()
        await until(lambda: site.found() == ALL)


async def test_an_overlay_that_fits_nothing_stops_nobody_else(site: Site) -> None:
    await site.gateway()
    await site.gateway("odd", "uid-of-odd")
    odd = {"deploymentOverlay": {"spec": {"template": {"spec": {"containers": [{"name": {"no": "name"}}]}}}}}
    await site.wants(row("odd", overlays=[odd]))
    async with site.deploying() as deployer:
        await until(lambda: ("default", "odd") in deployer.paces)
        await site.wants(row())
        await until(lambda: site.found() == ALL)


async def test_the_api_server_may_be_away(site: Site) -> None:
    async with site.deployed():
        await site.objects.stop()
        await site.wants(row(ports=[{"port": 81, "protocol": "TCP"}]))
        await site.objects.delete(Target(_CONFIG, "default", "gw"))
        site.objects.down = False
        await until(lambda: site.found() == ALL and site.one("Service default/gw")["spec"]["ports"][0]["port"] == 81)


async def test_a_watch_that_ends_is_begun_again(site: Site) -> None:
    async with site.deployed():
        await site.objects.drop()
        await site.objects.delete(Target(_ACCOUNT, "default", "gw"))
        await until(lambda: site.found() == ALL)


async def test_a_kind_that_is_not_served_is_no_reason_to_wait(site: Site) -> None:
    site.objects.unserved.add("VerticalPodAutoscaler")
    async with site.deployed():
        pass


async def test_a_fight_over_a_field_becomes_slower(site: Site) -> None:
    async with site.deployed() as deployer:
        for count in range(1, 5):
            await idle(deployer)
            changed = site.one("ConfigMap default/gw")
            changed["data"] = {"theirs": str(count)}
            await site.objects.put(changed)
            await until(lambda: "envoy.yaml" in site.one("ConfigMap default/gw")["data"])
        assert deployer.paces["default", "gw"].seconds >= 0.8


async def test_garbage_in_the_topic_is_left_out(site: Site) -> None:
    await site.gateway()
    headers = (("offset", b"0"), ("index", b"0"))
    async with site.log.writer("somebody") as writer:
        await writer.write([Outgoing(Topic.INFRA, 0, key("default", "odd"), b"[1]", headers)])
    await site.wants(row())
    async with site.deploying():
        await until(lambda: site.found() == ALL)


async def test_what_failed_for_a_while_is_repaired_at_once_afterwards(site: Site) -> None:
    """Neither the API server's absence nor a rejection counts as somebody's fight over a field."""
    async with site.deployed() as deployer:
        site.objects.refused[Target(_SERVICE, "default", "gw")] = "no"
        await site.wants(row(ports=[{"port": 81, "protocol": "TCP"}]))
        await until(lambda: deployer.paces["default", "gw"].seconds >= 2)
        site.objects.refused.clear()
        await until(lambda: site.one("Service default/gw")["spec"]["ports"][0]["port"] == 81)
        assert deployer.paces["default", "gw"].seconds < 1


async def test_of_an_api_server_that_is_away_little_is_said(site: Site) -> None:
    names = [f"gw{number}" for number in range(20)]
    for name in names:
        await site.gateway(name, f"uid-of-{name}")
    with capture_logs() as logs:
        async with site.deploying() as deployer:
            await until(lambda: deployer.listed.issuperset(WATCHED))
            site.objects.down = True
            await site.wants(*(row(name) for name in names))
            before = site.objects.turned_away
            await until(lambda: site.objects.turned_away >= before + len(names))
            site.objects.down = False
            await until(lambda: len(site.found()) == 100)
    assert len([one for one in logs if one["log_level"] == "error"]) == 1


class Ending(MemoryObjects):
    """Something in between ends each watch at once."""

    lists = 0

    async def follow(self, kind: Kind, selector: str) -> AsyncIterator[Listed | Seen]:
        async for event in super().follow(kind, selector):
            self.lists += 1
            assert self.lists < 100
            await asyncio.sleep(0)
            yield event
            return


async def test_watches_that_end_at_once_are_not_all_that_there_is_time_for(site: Site) -> None:
    site.objects = Ending()
    async with site.deployed():
        await site.objects.delete(Target(_SERVICE, "default", "gw"))
        await until(lambda: site.found() == ALL)
