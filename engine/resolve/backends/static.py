"""Static: hosts that are listed, by address or by a name that Envoy resolves."""

from __future__ import annotations

from engine.graph.reader import Json, Reader
from engine.resolve import static_hosts
from engine.resolve.backend_type import BackendType
from engine.resolve.endpoint import Endpoint
from engine.resolve.values import BackendKey, Problem, Protocol


def _protocol(graph: Reader, block: Json, key: BackendKey) -> Protocol | Problem:  # noqa: ARG001  as every type's
    return static_hosts.protocol(block, key)


def _endpoints(graph: Reader, block: Json, key: BackendKey) -> tuple[Endpoint, ...]:  # noqa: ARG001  as every type's
    return static_hosts.listed(block)


BACKEND_TYPE = BackendType("static", _protocol, _endpoints, streams=True)
