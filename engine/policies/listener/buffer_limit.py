"""perConnectionBufferLimitBytes: how much of a connection is held in memory."""

from __future__ import annotations

from typing import Final

from engine.envoy.added import Added
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given

_FIELD: Final = "perConnectionBufferLimitBytes"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """In bytes; 0 lets Envoy hold as much as it likes."""
    return Effect(Added(listener=(("per_connection_buffer_limit_bytes", int(given.value(_FIELD))),)))


FEATURE: Final = Feature((_FIELD,), effect, whole=True)
