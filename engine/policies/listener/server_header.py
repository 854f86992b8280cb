"""serverName and serverHeaderTransformation: the header `server` of answers."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManagerServerHeaderTransformation,
)

from engine.graph.reader import Reader
from engine.policies.listener.feature import NOTHING, Effect, Feature, Given, both, managed

_NAME: Final = "httpSettings.serverName"
_HOW: Final = "httpSettings.serverHeaderTransformation"
_Transformation = HttpConnectionManagerServerHeaderTransformation
_HOWS: Final = {
    "Overwrite": _Transformation.OVERWRITE,
    "AppendIfAbsent": _Transformation.APPEND_IF_ABSENT,
    "PassThrough": _Transformation.PASS_THROUGH,
}


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Who writes a name wants it told: without a word of how, it overwrites a backend's."""
    how = _HOWS[str(given.value(_HOW) or "Overwrite")]
    named = managed(server_name=str(given.value(_NAME))) if given.has(_NAME) else NOTHING
    return both([managed(server_header_transformation=how), named])


FEATURE: Final = Feature((_NAME, _HOW), effect)
