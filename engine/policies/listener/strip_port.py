"""stripHostPortMode: whether the port of a request's host is taken away, for routes and for backends."""

from __future__ import annotations

from typing import Final

from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given, managed

_FIELD: Final = "httpSettings.stripHostPortMode"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Only the listener's own port, or any."""
    return managed(
        **({"strip_any_host_port": True} if given.value(_FIELD) == "AnyPort" else {"strip_matching_host_port": True})
    )


FEATURE: Final = Feature((_FIELD,), effect)
