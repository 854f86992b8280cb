"""oauth2: clients sign in with the provider of a GatewayExtension first."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from envoy_data_plane.envoy.extensions.filters.http.oauth2.v3 import OAuth2, OAuth2Config

from engine.envoy.chained import EMPTY, EMPTY_TYPE, chained
from engine.envoy.effect import Effect
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.extension.sections import extended
from engine.policies.feature import Feature, Filter, Stage, Use, When
from engine.resolve.values import Problem

NAME: Final = "envoy.filters.http.oauth2"
_HTTP: Final = "envoy.extensions.filters.http"
_CHECK: Final = f"{NAME}/jwt"


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:
    """OAuth2, whole; behind it a check of tokens in any case, so that a nearer place has no other's."""
    found = extended(graph, use, value, "oauth2")
    if isinstance(found, Problem):
        return found
    made = chained(
        NAME,
        (NAME, f"{_HTTP}.oauth2.v3.OAuth2", construct(OAuth2, config=construct(OAuth2Config, **dict(found.fields)))),
        (_CHECK, f"{_HTTP}.jwt_authn.v3.JwtAuthentication", found.place),
    )
    return replace(made, backends=found.backends, sources=found.sources, credentials=found.credentials)


# Before jwtAuth, which may ask for the token that this one hands on.
FEATURE = Feature("oauth2", effect, (Filter(NAME, EMPTY_TYPE, EMPTY, Stage.AUTHN, When.BEFORE),), guards=True)
