"""Random GatewayExtensions: of every section that is served, of services that are there and of those that are not."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from engine.events import Put
from engine.observed import configuration_ref, observation
from tests.support.manifests import CLUSTER, put

_PLACES: Final = ({}, {"filterStage": {"stage": "Fault"}}, {"filterStage": {"stage": "AuthZ", "weight": 1}})
KEYS: Final = '{"kty": "OKP", "crv": "Ed25519", "x": "HoEuquhd_Cf2GDuL4b2mwiZ2kr6qSXH9d07yyqYuW9E"}'
_LOGIN: Final = "https://login.example.com"
_SIGN_IN: Final = {
    "authorizationEndpoint": _LOGIN,
    "tokenEndpoint": _LOGIN,
    "credentials": {"clientID": "shop", "clientSecretRef": {"name": "cert"}},
}


@st.composite
def issuers(draw: Any, number: int, generation: int) -> Put:  # noqa: ARG001  as the others are called
    """What is known of the one issuer."""
    ref = configuration_ref(CLUSTER, _LOGIN)
    good = {"authorizationEndpoint": f"{_LOGIN}/authorize", "tokenEndpoint": f"{_LOGIN}/token"}
    all_ = {**good, "endSessionEndpoint": f"{_LOGIN}/end", "jwksURI": f"{_LOGIN}/keys"}
    spec = draw(st.sampled_from([good, all_, {"error": "it cannot be reached over HTTPS"}, {**good, "tokenEndpoint": "x"}]))
    return Put(ref, observation(ref, {"issuer": _LOGIN, **spec}, generation))


@st.composite
def extensions(draw: Any, number: int, generation: int) -> Put:
    """One GatewayExtension, `x0` or `x1`."""
    named = {"name": f"s{draw(st.integers(0, 2))}", "port": 80}
    if draw(st.booleans()):
        named["namespace"] = draw(st.sampled_from(["default", "other"]))
    service = {"backendRef": named}
    is_open = draw(st.booleans())
    keys = draw(
        st.sampled_from(
            [
                {"local": {"configMapRef": {"name": "ca0"}}},
                {"local": {"inline": KEYS}},
                {"remote": {"url": f"{_LOGIN}/keys", **service}},
            ]
        )
    )
    checks = {"jwt": {"jwksURI": f"{_LOGIN}/keys", "idToken": {}}} if draw(st.booleans()) else {}
    spec = draw(
        st.sampled_from(
            [
                {"extAuth": {"grpcService": service, "failOpen": is_open}},
                {"extAuth": {"httpService": {**service, "retry": {"attempts": 2}}}},
                {"rateLimit": {"grpcService": service, "domain": "d", "failOpen": is_open}},
                {"jwt": {"providers": [{"name": "one", "jwks": keys}]}},
                {"oauth2": {**_SIGN_IN, **service, **checks}},
                {"oauth2": {"credentials": _SIGN_IN["credentials"], "issuerURI": _LOGIN, "scopes": ["openid"], **service, **checks}},
                {"oauth2": {**_SIGN_IN, "issuerURI": _LOGIN, "jwt": {"accessToken": {}}, **service}},
                *({"extProc": {"grpcService": service, "failOpen": is_open, **place}} for place in _PLACES),
            ]
        )
    )
    return put("gateway.kgateway.dev", "v1alpha1", "GatewayExtension", f"x{number % 2}", {"spec": spec}, generation)
