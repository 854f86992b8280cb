"""Hosts that a static Backend lists, by address or by a name that Envoy resolves."""

from __future__ import annotations

from engine.graph.reader import Json
from engine.models.texts import is_address
from engine.resolve.app_protocol import protocol_of
from engine.resolve.endpoint import Endpoint
from engine.resolve.manifest import items
from engine.resolve.values import BackendKey, Over, Problem, Protocol


def protocol(block: Json, key: BackendKey) -> Protocol | Problem:
    """As its appProtocol says."""
    name = f"Backend {key.ref.namespace}/{key.ref.name}"
    hosts = items(block.get("hosts"))
    if key.over is Over.UDP and not all(is_address(str(one.get("host", ""))) for one in hosts):
        return Problem("UnsupportedValue", f"{name} has host names, which no UDPRoute can use: write addresses")
    return protocol_of(block.get("appProtocol"), name)


def listed(block: Json) -> tuple[Endpoint, ...]:
    """The hosts."""
    return tuple(Endpoint(str(one.get("host", "")), int(one.get("port", 0))) for one in items(block.get("hosts")))
