"""What is taken and refused of GatewayExtension's oauth2, and of what names one."""

from __future__ import annotations

from typing import Any, Final

import pytest

from engine.models.admission import Admitted, admit
from tests.models.manifests import KGATEWAY, Json, changed, target

_LOGIN = "https://login.example.com"
_WHOLE: Final[Json] = {
    "apiVersion": f"{KGATEWAY}/v1alpha1",
    "kind": "GatewayExtension",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {
        "type": "OAuth2",
        "oauth2": {
            "backendRef": {"name": "login", "port": 443},
            "authorizationEndpoint": f"{_LOGIN}/authorize?a=b",
            "tokenEndpoint": f"{_LOGIN}:8443/token",
            "redirectURI": "%REQ(x-forwarded-proto)%://%REQ(:authority)%/oauth2/redirect",
            "logoutPath": "/leave",
            "forwardAccessToken": True,
            "scopes": ["openid", "email"],
            "credentials": {"clientID": "shop", "clientSecretRef": {"name": "client"}},
            "issuerURI": f"{_LOGIN}/realms/shop",
            "endSessionEndpoint": f"{_LOGIN}/end",
            "cookies": {
                "domain": "example.com",
                "names": {"accessToken": "a", "idToken": "b"},
                "sameSite": "Lax",
                "disableAccessTokenSetCookie": False,
                "disableIDTokenSetCookie": False,
                "disableRefreshTokenSetCookie": True,
            },
            "jwt": {
                "jwksURI": f"{_LOGIN}/keys",
                "jwksBackendRef": {"name": "login", "port": 443},
                "accessToken": {"audiences": ["shop"], "claimsToHeaders": [{"name": "sub", "header": "x-user"}]},
                "idToken": {},
            },
            "denyRedirect": {"headers": [{"name": "accept", "type": "RegularExpression", "value": ".*json"}]},
        },
    },
}
_POLICY: Final[Json] = {
    "apiVersion": f"{KGATEWAY}/v1alpha1",
    "kind": "TrafficPolicy",
    "metadata": {"name": "a", "namespace": "default"},
    "spec": {"oauth2": {"extensionRef": {"name": "a", "namespace": "b"}}},
}
_SPEC = "spec.oauth2"
_EITHER = "Either issuerURI, or both authorizationEndpoint and tokenEndpoint must be specified"


def _problems(manifest: Json) -> list[str]:
    judged = admit(target(manifest), manifest)
    return [] if isinstance(judged, Admitted) else [str(one) for one in judged.problems]


@pytest.mark.parametrize("manifest", [_WHOLE, _POLICY], ids=lambda one: one["kind"])
def test_whole_manifests_are_taken(manifest: Json) -> None:
    assert _problems(manifest) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("authorizationEndpoint", ...),
        ("issuerURI", ...),
        ("redirectURI", "https://shop.example.com/back"),
        ("logoutPath", ...),
        ("cookies", {}),
        ("jwt.jwksURI", ...),
        ("jwt", {}),
        ("denyRedirect", {}),
    ],
)
def test_taken(path: str, value: Any) -> None:
    assert _problems(changed(_WHOLE, f"{_SPEC}.{path}", value)) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("backendRef", ..., "must be given"),
        ("authorizationEndpoint", "http://login.example.com/", "authorizationEndpoint"),
        ("authorizationEndpoint", "https://login.example.com/#a", "authorizationEndpoint"),
        ("tokenEndpoint", "https://login.example.com:99999/", "is no URL: write it as https://example.com/path"),
        ("endSessionEndpoint", "login.example.com", "endSessionEndpoint"),
        ("scopes", ["email"], "is of OpenID Connect: add openid to scopes"),
        ("issuerURI", "https://login.example.com/?a=b", "issuerURI"),
        ("issuerURI", "https://login.example.com/" + "a" * 2023, "is too long: at most 2048 characters"),
        ("redirectURI", "https://shop.example.com", "is no URL: write it as https://example.com/oauth2/redirect"),
        ("redirectURI", "https://shop.example.com/", "is no URL: write it as https://example.com/oauth2/redirect"),
        ("redirectURI", "/oauth2/redirect", "is no URL: write it as https://example.com/oauth2/redirect"),
        ("redirectURI", "https://a/%REQ(x)%", "is no URL: write it as https://example.com/oauth2/redirect"),
        ("redirectURI", "https://%NOTHING%/b", "is no URL"),
        ("redirectURI", "https://shop.example.com/leave", "has the path of logoutPath: give each its own"),
        ("logoutPath", "", "must have at least 1 characters"),
        ("logoutPath", "leave", "'leave' is no path: begin it with /"),
        ("credentials", ..., "must be given"),
        ("credentials.clientID", "", "must have at least 1 characters"),
        ("credentials.clientSecretRef", {}, "must be given"),
        ("cookies.domain", "Example.com", "cookies.domain"),
        ("cookies.domain", "", "must have at least 1 characters"),
        ("cookies.names.accessToken", "", "must have at least 1 characters"),
        ("cookies.names.accessToken", "a b", "'a b' is no cookie's name"),
        ("cookies.names.accessToken", "b", "is the name of the access token's cookie, too: give each its own"),
        ("cookies.sameSite", "lax", '"lax" is not one of'),
        ("cookies.disableAccessTokenSetCookie", True, "Access token cookie must not be disabled"),
        ("cookies.disableIDTokenSetCookie", True, "ID token cookie must not be disabled"),
        ("jwt.jwksURI", "http://login.example.com/keys", "jwt.jwksURI"),
        ("jwt.jwksURI", "https://login.example.com:99999/", "is no URL: write it as https://example.com/keys"),
        ("jwt.accessToken.audiences", [], "at least 1"),
        ("jwt.accessToken.claimsToHeaders[0].header", "host", "host belongs to Envoy: name another"),
        ("denyRedirect.headers", [], "at least 1"),
        ("denyRedirect.headers", [{"name": "a", "value": "b"}] * 17, "at most 16"),
        ("denyRedirect.headers[0].value", "(", "is no regular expression"),
    ],
)  # fmt: skip
def test_refused(path: str, value: Any, problem: str) -> None:
    found = _problems(changed(_WHOLE, f"{_SPEC}.{path}", value))
    assert any(problem in one for one in found), found


@pytest.mark.parametrize("path", ["authorizationEndpoint", "tokenEndpoint"])
def test_endpoints_or_an_issuer_must_be_named(path: str) -> None:
    found = _problems(changed(changed(_WHOLE, f"{_SPEC}.issuerURI", ...), f"{_SPEC}.{path}", ...))
    assert found == [f"{_SPEC}: {_EITHER}"]


def test_keys_or_an_issuer_must_be_named() -> None:
    found = _problems(changed(changed(_WHOLE, f"{_SPEC}.issuerURI", ...), f"{_SPEC}.jwt.jwksURI", ...))
    assert found == [f"{_SPEC}: Either issuerURI or jwksURI must be specified for JWT parsing"]


def test_a_policy_names_an_extension() -> None:
    assert _problems(changed(_POLICY, "spec.oauth2", {})) == ["spec.oauth2.extensionRef: must be given"]
