"""The features of listener policies: the `FEATURE` of each file beside this one, and the only list of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from betterproto2 import Message
from envoy_data_plane.envoy.config.listener.v3 import FilterChain, Listener
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManager, Rds

import engine.policies.listener
from engine.envoy.address import address
from engine.envoy.pgv import Violation, violation
from engine.envoy.typed import ads
from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given, both
from engine.presence import modules, told_apart
from engine.ref import Ref
from engine.resolve.listener_policy import Setting
from engine.resolve.values import Problem

FEATURES: Final[tuple[Feature, ...]] = tuple(
    one.FEATURE for one in modules(engine.policies.listener, "feature", "features")
)
"""In the order of their names."""
told_apart([field for one in FEATURES for field in one.fields], lambda field: field)


def effect_of(graph: Reader, gateway: Ref, settings: Iterable[Setting], *, whole: bool) -> Effect:
    """What all settings at a place come to, for the port or a chain; what breaks Envoy's rules is left out alone."""
    found = [one for one in settings if not one.refused]
    effects = []
    for feature in FEATURES:
        mine = tuple(one for one in found if one.field in feature.fields)
        if mine and feature.whole == whole:
            effects.append(_lawful(feature.effect(graph, Given(gateway, mine)), mine))
    return both(effects)


def _lawful(effect: Effect, settings: tuple[Setting, ...]) -> Effect:
    broken = _broken(effect)
    if broken is None:
        return effect
    fields = ", ".join(one.label for one in settings)
    problem = Problem("UnsupportedValue", f"{fields}: is not served, Envoy would not take it: {broken}")
    policies = dict.fromkeys(one.policy for one in settings)
    return Effect(problems=(*effect.problems, *((one, problem) for one in policies)))


def _broken(effect: Effect) -> Violation | None:
    """The first of Envoy's field rules that an effect breaks by itself."""
    added = effect.added
    found: list[Message] = []
    if added.manager or added.filters:
        rds = construct(Rds, route_config_name="r", config_source=ads())
        values = {"stat_prefix": "http", "rds": rds, "http_filters": list(added.filters), **dict(added.manager)}
        found.append(construct(HttpConnectionManager, **values))
    if added.listener or added.listener_filters:
        filters = list(added.listener_filters)
        place = address("127.0.0.1", 1)
        found.append(construct(Listener, name="l", address=place, listener_filters=filters, **dict(added.listener)))
    if added.chain:
        found.append(construct(FilterChain, name="c", **dict(added.chain)))
    return next((broken for one in found if (broken := violation(one)) is not None), None)
