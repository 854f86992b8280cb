"""tcpKeepalive: probes on connections that are idle."""

from __future__ import annotations

from typing import Final

from engine.envoy.added import Added
from engine.envoy.tcp_keepalive import tcp_keepalive
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given
from engine.resolve.values import Problem

_FIELD: Final = "tcpKeepalive"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Times in whole seconds; what is not said is the system's."""
    found = tcp_keepalive(given.block(_FIELD))
    if isinstance(found, Problem):
        return Effect(problems=((given.policy(_FIELD), Problem(found.reason, f"{_FIELD}.{found.message}")),))
    return Effect(Added(listener=(("tcp_keepalive", found),)))


FEATURE: Final = Feature((_FIELD,), effect, whole=True)
