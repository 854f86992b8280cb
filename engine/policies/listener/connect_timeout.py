"""transportSocketConnectTimeout: how long a client may take for its TLS handshake."""

from __future__ import annotations

from typing import Final

from engine.envoy.added import Added
from engine.envoy.grpc_service import duration
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given

_FIELD: Final = "transportSocketConnectTimeout"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Of chains without TLS it does nothing."""
    return Effect(Added(chain=(("transport_socket_connect_timeout", duration(given.value(_FIELD))),)))


FEATURE: Final = Feature((_FIELD,), effect)
