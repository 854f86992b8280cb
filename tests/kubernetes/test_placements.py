"""A Gateway of the configuration cluster on proxies of the clusters that it selects: real API servers, real Envoys."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.network import NODE, is_allowed, node_network
from tests.kubernetes.federation import MCS, Member, cluster, kubeconfig, members
from tests.kubernetes.proxy_pod import KINDS, ProxyPod
from tests.kubernetes.replicas import called
from tests.support.running import START_SECONDS, Running, free_port, tidy, until

pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.kafka,
    pytest.mark.envoy,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not is_allowed() or shutil.which("ip") is None, reason="namespaces need root and iproute2"),
]
_GATEWAY = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/edge"
_WANTED = f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge, annotations: {{penstock.dev/clusters: "east, west"}}}}
spec: {{gatewayClassName: penstock, listeners: [{{name: http, port: 80, protocol: HTTP}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: pay}}
spec:
  parentRefs: [{{name: edge}}]
  rules:
  - retry: {{attempts: 12}}
    backendRefs: [{{group: {MCS}, kind: ServiceImport, name: pay, port: 80}}]
"""


@dataclass(slots=True)
class World:
    """Two clusters, penstock beside the first, and a pod in each as soon as it is deployed."""

    east: ProxyPod
    west: ProxyPod
    plane: Running

    def said(self) -> str:
        """All that may tell why something is not so."""
        status = self.east.member.call("GET", _GATEWAY).get("status")
        there = {one.member.name: sorted(one.deployed()) for one in (self.east, self.west)}
        return "\n".join([str(status), str(there), self.plane.text()[-4000:], self.east.log(), self.west.log()])

    def select(self, clusters: str) -> None:
        """Another annotation."""
        called(self.east.member, "PATCH", _GATEWAY, {"metadata": {"annotations": {"penstock.dev/clusters": clusters}}})

    def runs(self, pod: ProxyPod) -> None:
        """Wait until all of it is there, then run it."""
        until(lambda: len(pod.deployed()) == len(KINDS), START_SECONDS, self.said)
        pod.start()

    def goes(self, pod: ProxyPod) -> None:
        """Wait until nothing of it is there, and end it."""
        until(lambda: not pod.deployed(), says=self.said)
        pod.stop()

    def answers(self, pod: ProxyPod, *names: str) -> None:
        """Wait until it answers several requests in a row, from these clusters."""
        until(lambda: all(pod.ask() in {(200, one) for one in names} for _ in range(5)), START_SECONDS, self.said)

    def is_told(self, *pods: ProxyPod) -> None:
        """Wait until the Gateway says that it is programmed at the addresses of these, and no other ones."""

        def told() -> bool:
            status: dict[str, Any] = self.east.member.call("GET", _GATEWAY).get("status") or {}
            programmed = {one["status"] for one in status.get("conditions") or () if one["type"] == "Programmed"}
            addresses = {one["value"] for one in status.get("addresses") or ()}
            return programmed == {"True"} and addresses == {one.address for one in pods}

        until(told, says=self.said)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    data, port = tmp_path / "data", free_port()
    with node_network() as network, members(tmp_path, network, "east", "west") as (east, west), tidy(data):
        config = tmp_path / "kubeconfig"
        config.write_text(json.dumps(kubeconfig(east, west)))
        east.put(_WANTED, cluster("east"), cluster("west", {"context": "west"}))
        for one in (east, west):
            one.exports(80)
        plane = Running(
            "--cluster", "east", "--kubeconfig", str(config), "--members", "--data", str(data), "--plain",
            command="controller", out=tmp_path / "out",
            env={"PENSTOCK_XDS_LISTEN": f"{NODE}:{port}", "PENSTOCK_XDS_ADDRESS": f"{NODE}:{port}"},
        )  # fmt: skip
        found = World(_pod(east, tmp_path, network, 3), _pod(west, tmp_path, network, 4), plane)
        try:
            yield found
        finally:
            found.east.stop()
            found.west.stop()


def _pod(member: Member, root: Path, network: Any, number: int) -> ProxyPod:
    return ProxyPod(member, "edge", root / f"pod-{member.name}", network, number)


@contextmanager
def _asked(pod: ProxyPod) -> Iterator[Counter[tuple[int, str]]]:
    """Somebody asks it all along; how often he was answered what."""
    seen: Counter[tuple[int, str]] = Counter()
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.02):
            seen[pod.ask()] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _owners(pod: ProxyPod) -> set[str]:
    """The uids of what owns its objects, "" where nothing does."""
    found = [one["metadata"].get("ownerReferences") or [{"uid": ""}] for one in pod.deployed().values()]
    return {owner["uid"] for owners in found for owner in owners}


def test_a_gateway_has_proxies_in_the_clusters_that_it_selects(world: World) -> None:
    east, west = world.east, world.west
    for one in (east, west):
        world.runs(one)
    world.answers(east, "east")
    world.answers(west, "west")
    assert _owners(east) == {east.member.call("GET", _GATEWAY)["metadata"]["uid"]}
    assert _owners(west) == {""}
    world.is_told(east, west)
    west.member.backend.down()
    assert {west.ask()[0] for _ in range(20)} == {200}, world.said()
    world.answers(west, "east")
    with _asked(east) as seen:
        world.select("east")
        world.goes(west)
        world.is_told(east)
    assert seen.keys() == {(200, "east")}, seen
    west.member.backend.up()
    world.select("west")
    world.runs(west)
    world.goes(east)
    world.answers(west, "east", "west")
    world.is_told(west)
    east.member.call("DELETE", _GATEWAY)
    world.goes(west)
