"""internalRedirect: a backend's redirect is followed by the proxy, and the client sees where it leads."""

from __future__ import annotations

from envoy_data_plane.envoy.config.route.v3 import InternalRedirectPolicy

from engine.envoy.effect import Effect
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.policies.feature import Feature, Use
from engine.resolve.manifest import texts


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """RouteAction.internal_redirect_policy."""
    most = value.get("maxRedirects")
    policy = construct(
        InternalRedirectPolicy,
        max_internal_redirects=None if most is None else int(most),
        redirect_response_codes=[int(one) for one in value.get("redirectResponseCodes") or ()],
        allow_cross_scheme_redirect=bool(value.get("allowCrossSchemeRedirect")),
        response_headers_to_copy=list(dict.fromkeys(texts(value.get("responseHeadersToCopy")))),
    )
    return Effect(action=(("internal_redirect_policy", policy),))


FEATURE = Feature("internalRedirect", effect, inherited=True)
