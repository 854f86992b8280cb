"""Random GatewayExtensions: of every section that is served, of services that are there and of those that are not."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from engine.events import Put
from tests.support.manifests import put

_PLACES: Final = ({}, {"filterStage": {"stage": "Fault"}}, {"filterStage": {"stage": "AuthZ", "weight": 1}})
KEYS: Final = '{"kty": "OKP", "crv": "Ed25519", "x": "HoEuquhd_Cf2GDuL4b2mwiZ2kr6qSXH9d07yyqYuW9E"}'
_LOGIN: Final = "https://login.example.com"
_SIGN_IN: Final = {
    "authorizationEndpoint": _LOGIN,
    "tokenEndpoint": _LOGIN,
    "credentials": {"clientID": "shop", "clientSecretRef": {"name": "cert"}},
}


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
                *({"extProc": {"grpcService": service, "failOpen": is_open, **place}} for place in _PLACES),
            ]
        )
    )
    return put("gateway.kgateway.dev", "v1alpha1", "GatewayExtension", f"x{number % 2}", {"spec": spec}, generation)
