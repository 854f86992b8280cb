"""earlyRequestHeaderModifier: headers of a request, changed before a route is looked for."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import HeaderMutation

from engine.envoy.header_options import header_options
from engine.envoy.typed import extension
from engine.envoy.wire import construct
from engine.graph.reader import Reader
from engine.policies.listener.feature import Effect, Feature, Given, both, managed
from engine.resolve.header_change import header_change
from engine.resolve.values import Problem

_FIELD: Final = "httpSettings.earlyRequestHeaderModifier"


def effect(graph: Reader, given: Given) -> Effect:
    """A header whose Secret cannot be had is left out."""
    policy = given.policy(_FIELD)
    found = header_change(graph, given.gateway, policy, given.block(_FIELD))
    problems = [(policy, Problem(one.reason, f"earlyRequestHeaderModifier.{one.message}")) for one in found.problems]
    mutations = [construct(Mutation, remove=name) for name in found.change.remove]
    mutations += [construct(Mutation, append=option) for option in header_options(found.change)]
    told = Effect(problems=tuple(problems), sources=found.secrets, sealed=bool(found.secrets))
    if not mutations:
        return told
    made = extension(
        "envoy.http.early_header_mutation.header_mutation",
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        construct(HeaderMutation, mutations=mutations),
    )
    return both([managed(early_header_mutation_extensions=[made]), told])


FEATURE: Final = Feature((_FIELD,), effect)
