"""upgradeConfig: protocols that a request of any route may change to."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManagerUpgradeConfig,
)

from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given, managed
from engine.resolve.manifest import texts

_FIELD: Final = "httpSettings.upgradeConfig"


def effect(graph: Reader, given: Given) -> Effect:  # noqa: ARG001  as every feature
    """Each of them."""
    names = texts(given.block(_FIELD).get("enabledUpgrades"))
    return managed(upgrade_configs=[construct(HttpConnectionManagerUpgradeConfig, upgrade_type=one) for one in names])


FEATURE: Final = Feature((_FIELD,), effect)
