"""jwtAuth: a token of a provider of a GatewayExtension is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import JwtAuthentication

from engine.envoy.chained import EMPTY, EMPTY_TYPE, chained
from engine.envoy.effect import Effect, switched
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.extension.sections import extended
from engine.policies.feature import Feature, Filter, Stage, Use, is_off
from engine.resolve.values import Problem

NAME: Final = "jwt"
TYPE: Final = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:
    """JwtAuthentication, whole."""
    if is_off(value):
        return switched(NAME, off=True)
    found = extended(graph, use, value, "jwt")
    if isinstance(found, Problem):
        return found
    made = chained(NAME, (NAME, TYPE, construct(JwtAuthentication, **dict(found.fields))))
    return replace(made, backends=found.backends, sources=found.sources)


FEATURE = Feature("jwtAuth", effect, (Filter(NAME, EMPTY_TYPE, EMPTY, Stage.AUTHN),), guards=True)
