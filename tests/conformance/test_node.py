"""The parts of the fake node that need no cluster."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conformance.network import NODE, is_allowed, node_network
from tests.conformance.node.balancer import Balancer, Front
from tests.conformance.node.pod import port, python_mounts
from tests.conformance.node.volumes import environment, mounts
from tests.support.running import free_port

_POD = {
    "metadata": {"name": "echo-1-2", "namespace": "shop", "uid": "u", "labels": {"app": "echo"}},
    "spec": {"nodeName": "node"},
}


def test_variables_name_fields_of_the_pod_and_one_another() -> None:
    container = {
        "env": [
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "ID", "value": "$(POD).$(APP).$(NOBODY)"},
        ]
    }
    found = environment(_POD, container, "10.244.1.2")
    assert found == {"POD": "echo-1-2", "APP": "echo", "IP": "10.244.1.2", "ID": "echo-1-2.echo.$(NOBODY)"}


def test_a_mount_may_be_one_file_of_a_volume() -> None:
    container = {
        "volumeMounts": [{"name": "a", "mountPath": "/etc/a"}, {"name": "a", "mountPath": "/etc/b", "subPath": "key"}]
    }
    assert mounts(container, {"a": Path("/v/a")}) == ["/v/a /etc/a", "/v/a/key /etc/b"]


def test_probes_name_ports_or_number_them() -> None:
    container = {"ports": [{"name": "grpc-xds", "containerPort": 9977}]}
    assert port(container, "grpc-xds") == 9977
    assert port(container, 8080) == 8080


def test_python_is_mounted_once_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, venv = tmp_path / "clone", tmp_path / "clone" / ".venv"
    venv.mkdir(parents=True)
    monkeypatch.setattr("sys.prefix", str(venv))
    monkeypatch.setattr("sys.base_prefix", "/usr")
    assert python_mounts(source) == [f"{source} {source}"]
    monkeypatch.setattr("sys.base_prefix", "/usr/local")
    assert python_mounts(source) == [f"{source} {source}"], "a pod sees /usr"
    monkeypatch.setattr("sys.base_prefix", str(tmp_path / "python"))
    assert len(python_mounts(source)) == 2


async def test_connections_go_to_a_pod_and_none_to_nobody() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello " + await reader.readline())
        writer.close()

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(front.address, front.port)
        writer.write(b"you\n")
        found = await reader.read()
        writer.close()
        return found

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    target, front, balancer = server.sockets[0].getsockname(), Front("127.0.0.1", free_port(), "TCP"), Balancer()
    await balancer.set({front: [target]})
    assert await ask() == b"hello you\n"
    await balancer.set({front: []})
    with pytest.raises(ConnectionResetError):
        await ask()
    await balancer.close()
    with pytest.raises(ConnectionRefusedError):
        await ask()
    server.close()


def _namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout


_NAMESPACES = pytest.mark.skipif(
    not is_allowed() or shutil.which("ip") is None, reason="namespaces need root and iproute2"
)


@_NAMESPACES
def test_pods_know_the_node_by_one_address_whoever_comes_and_goes() -> None:
    """A bridge of itself takes the lowest address of its ports: gone with a pod, others would send to nobody for a minute."""

    def told() -> str:
        said = subprocess.run(["ip", "-o", "link", "show", "pods"], check=True, capture_output=True, text=True).stdout
        return said.rpartition("link/ether ")[2].split()[0]

    with node_network() as network:
        before = told()
        for number in (1, 2, 3):
            network.add_pod(number)
        assert told() == before
        network.remove_pods()
        assert told() == before


@_NAMESPACES
def test_a_network_is_gone_with_its_pods_whatever_happened() -> None:
    outside = Path("/proc/thread-self/ns/net").readlink()
    with pytest.raises(ZeroDivisionError), node_network() as network:
        assert Path("/proc/thread-self/ns/net").readlink() != outside
        address = network.add_pod(300)
        assert address == "10.244.2.51"
        reached = ["ip", "netns", "exec", network.pod_name(300), "ip", "route", "get", NODE]
        assert "eth0" in subprocess.run(reached, check=True, capture_output=True, text=True).stdout
        assert network.pod_name(300) in _namespaces()
        raise ZeroDivisionError
    assert Path("/proc/thread-self/ns/net").readlink() == outside
    assert network.name not in _namespaces()
