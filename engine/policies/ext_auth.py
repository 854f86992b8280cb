"""extAuth: a service says of each request whether it may pass; a GatewayExtension says which."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from envoy_data_plane.envoy.extensions.filters.http.ext_authz.v3 import CheckSettings, ExtAuthz, ExtAuthzPerRoute

from engine.envoy.chained import EMPTY, EMPTY_TYPE, chained
from engine.envoy.effect import Effect, both, of_filter, switched
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.extension.ext_auth import body
from engine.policies.extension.sections import extended
from engine.policies.feature import Feature, Filter, Link, Stage, Use, is_off
from engine.resolve.extension import named_extension
from engine.resolve.manifest import mapping
from engine.resolve.values import Problem

NAME: Final = "ext_auth"
"""As it stands in listeners."""
INNER: Final = "envoy.filters.http.ext_authz"
"""In its chain: the same whichever extension it is, so that of several places the nearest is asked."""
_TYPE: Final = "envoy.extensions.filters.http.ext_authz.v3"


def effect(graph: Reader, use: Use, value: Json) -> Effect | Problem:
    """ExtAuthz, and what the policy has the service told beside the request."""
    if is_off(value):
        return switched(NAME, off=True)
    found = extended(graph, use, value, "extAuth")
    if isinstance(found, Problem):
        return found
    fields = dict(found.fields)
    if value.get("withRequestBody") is not None:
        fields["with_request_body"] = body(mapping(value.get("withRequestBody")))
    made = chained(NAME, (INNER, f"{_TYPE}.ExtAuthz", construct(ExtAuthz, **fields)), sealed=found.sealed)
    context = {str(name): str(one) for name, one in mapping(value.get("contextExtensions")).items()}
    if context:
        settings = construct(CheckSettings, context_extensions=context)
        told = of_filter(INNER, f"{_TYPE}.ExtAuthzPerRoute", construct(ExtAuthzPerRoute, check_settings=settings))
        made = both((made, told))
    return replace(made, backends=found.backends, sources=found.sources)


def link(graph: Reader, use: Use, value: Json) -> Link | None:  # noqa: ARG001  a feature's signature
    """The service that is asked."""
    return None if is_off(value) else Link(named_extension(use.policy, mapping(value.get("extensionRef"))))


FEATURE = Feature("extAuth", effect, (Filter(NAME, EMPTY_TYPE, EMPTY, Stage.AUTHZ),), guards=True, link=link)
