"""The features of TrafficPolicy: the `FEATURE` of each file beside this one, and the only list of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import Cors
from envoy_data_plane.envoy.extensions.filters.http.fault.v3 import HttpFault
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.google.protobuf import Any as ProtoAny

import engine.policies
from engine.envoy.effect import CLOSED
from engine.envoy.listener import CORS, http_filter
from engine.envoy.natures import FILTERS
from engine.models.traffic_policy import BLOCKS
from engine.policies.feature import Feature, Filter, Stage, When
from engine.presence import modules, told_apart


def _found() -> dict[str, Feature]:
    features = [module.FEATURE for module in modules(engine.policies, "feature", "features")]
    found = told_apart(sorted(features, key=lambda one: one.field), lambda one: one.field)
    named = {name for one in BLOCKS.values() for name in ([f"{one.field}.{unit}" for unit in one.units] or [one.field])}
    if found.keys() != named:
        msg = f"fields of TrafficPolicy without a feature, or the reverse: {sorted(found.keys() ^ named)}"
        raise TypeError(msg)
    return found


FEATURES: Final = _found()
"""By field."""


_HTTP: Final = "envoy.extensions.filters.http"
_OWN: Final = (
    Filter(CLOSED, f"{_HTTP}.fault.v3.HTTPFault", HttpFault(), Stage.FAULT, When.BEFORE, weight=1000),
    Filter(CORS, f"{_HTTP}.cors.v3.Cors", Cors(), Stage.CORS, is_on=True),
)


def _standing() -> tuple[HttpFilter, ...]:
    filters = {one.name: one for one in _OWN}
    filters |= {one.name: one for feature in FEATURES.values() for one in feature.filters}
    filters |= {one.name: Filter(*one, Stage.ROUTE, When.AFTER) for one in FILTERS.values()}
    ordered = sorted(filters.values(), key=lambda one: (one.stage, one.when, -one.weight, one.name))
    return tuple(http_filter(one.name, one.type_name, one.config, disabled=not one.is_on) for one in ordered)


AROUND: Final[Mapping[str, ProtoAny]] = {name: config for one in FEATURES.values() for name, config in one.around}
"""Configs of filters for the route configurations around those that need them."""

STANDING: Final = _standing()
"""The filters that stand in every connection manager, in order."""
