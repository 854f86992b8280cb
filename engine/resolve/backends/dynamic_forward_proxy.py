"""DynamicForwardProxy: whatever host the request names, which Envoy resolves for itself."""

from __future__ import annotations

from dataclasses import dataclass

from engine.graph.reader import Json, Reader
from engine.resolve.backend_type import At, BackendType
from engine.resolve.values import BackendKey, BackendTls, Nature, Protocol


@dataclass(frozen=True, slots=True)
class AnyHost(Nature):
    """A cluster for each host that is asked for."""


def _protocol(graph: Reader, block: Json, key: BackendKey) -> Protocol:  # noqa: ARG001  as every type's
    return Protocol.HTTP1


def _nature(graph: Reader, block: Json, key: At) -> AnyHost:  # noqa: ARG001  as every type's
    # SNI and the name that must stand in the certificate are those of the request.
    return AnyHost(finds_hosts=True, tls=BackendTls(key.backend.ref, "", (), "") if block.get("enableTls") else None)


BACKEND_TYPE = BackendType("dynamicForwardProxy", _protocol, nature=_nature, inside=True, filtered=True)
