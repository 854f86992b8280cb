"""The node's network: a namespace with a bridge, that this process enters, and one namespace for each pod."""

from __future__ import annotations

import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

NODE = "10.244.0.1"
PODS = "10.244.0.0/16"
SERVICES = "10.96.0.0/16"
"""The API server's range of ClusterIPs."""
API_SERVER = "10.96.0.1"
"""The ClusterIP that the API server gives itself: the first one."""
BALANCERS = "10.200.0.0/16"
"""Addresses of Services of type LoadBalancer."""

_BRIDGE = "pods"
_BRIDGE_ADDRESS = "02:00:0a:f4:00:01"
_CLONE_NEWNET = 0x40000000
_HERE = Path("/proc/self/ns/net")
_A_NET = 250


def is_allowed() -> bool:
    """Whether this process may make network namespaces: root may, but not in every container."""
    try:
        return not subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True).returncode
    except OSError:
        return False


class NetworkError(RuntimeError):
    """The network cannot be made; the message is what `ip` said."""


@dataclass(slots=True)
class Network:
    """The node's namespace, entered; pods are numbered from 1."""

    name: str
    _pods: set[int] = field(default_factory=set)

    def pod_name(self, number: int) -> str:
        """The namespace of a pod."""
        return f"{self.name}-{number}"

    def add_pod(self, number: int) -> str:
        """Make a pod's namespace; answers its address. Raises NetworkError."""
        name, link = self.pod_name(number), f"pod{number}"
        address = f"10.244.{1 + number // _A_NET}.{1 + number % _A_NET}"
        self._pods.add(number)
        _ip("netns", "add", name)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", link, "master", _BRIDGE, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "addr", "add", f"{address}/16", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "route", "add", "default", "via", NODE)
        return address

    def remove_pod(self, number: int) -> None:
        """Remove it; what is not there is no fault."""
        if number not in self._pods:
            return
        with suppress(NetworkError):
            _ip("link", "delete", f"pod{number}")
        with suppress(NetworkError):
            _ip("netns", "delete", self.pod_name(number))
        self._pods.discard(number)

    def remove_pods(self) -> None:
        """Remove all that are left."""
        for number in tuple(self._pods):
            self.remove_pod(number)


@contextmanager
def node_network() -> Iterator[Network]:
    """A new namespace that the calling thread is in: what it starts, threads too, is in there. Raises NetworkError.

    At the end it is back where it was, and the namespace is removed with those of the pods. For root.
    """
    network = Network(f"penstock-{secrets.token_hex(3)}")
    _ip("netns", "add", network.name)
    outside = os.open(_HERE, os.O_RDONLY)
    try:
        _enter(Path("/run/netns") / network.name)
        _set_up()
        yield network
    finally:
        network.remove_pods()
        _set(outside)
        os.close(outside)
        _ip("netns", "delete", network.name)


def _set_up() -> None:
    _ip("link", "set", "lo", "up")
    # On the loopback, whole ranges are local: a proxy can listen on every address of them.
    _ip("addr", "add", SERVICES, "dev", "lo")
    _ip("addr", "add", BALANCERS, "dev", "lo")
    # Its own address for good: else it has the lowest of its ports, and who learnt that of a pod that went sends to nobody.
    _ip("link", "add", _BRIDGE, "address", _BRIDGE_ADDRESS, "type", "bridge")
    _ip("addr", "add", f"{NODE}/16", "dev", _BRIDGE)
    _ip("link", "set", _BRIDGE, "up")
    with suppress(OSError):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _enter(path: Path) -> None:
    there = os.open(path, os.O_RDONLY)
    try:
        _set(there)
    finally:
        os.close(there)


def _set(namespace: int) -> None:
    # os.setns is Python 3.12's.
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        msg = f"cannot enter a network namespace: {os.strerror(ctypes.get_errno())}"
        raise NetworkError(msg)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        msg = f"ip {' '.join(words)}: {done.stderr.strip()}"
        raise NetworkError(msg)
