"""oauth2: the proxy signs clients in with a provider (OAuth2Config), and checks its tokens where it is asked to."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import HttpUri
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher, RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import (
    JwtAuthentication,
    JwtProvider,
    JwtRequirement,
    JwtRequirementAndList,
    RequirementRule,
)
from envoy_data_plane.envoy.extensions.filters.http.oauth2.v3 import (
    CookieConfig,
    CookieConfigs,
    CookieConfigSameSite,
    OAuth2Credentials,
    OAuth2CredentialsCookieNames,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import SdsSecretConfig
from envoy_data_plane.envoy.type.matcher.v3 import PathMatcher, RegexMatcher, StringMatcher

from engine.envoy.names import cluster_name, credential_name
from engine.envoy.typed import ads
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.extension.oauth2 import LOGOUT_PATH, redirect_path
from engine.policies.extension.section import Built, Section
from engine.policies.extension.tokens import Keys, claims_to_headers, remote_keys
from engine.policies.feature import Use
from engine.ref import Ref
from engine.resolve.backend_ref import referenced
from engine.resolve.credential import Credential, credential
from engine.resolve.issuer import completed
from engine.resolve.manifest import items, mapping, texts
from engine.resolve.values import BackendKey, Problem

_REDIRECT: Final = "%REQ(x-forwarded-proto)%://%REQ(:authority)%/oauth2/redirect"
_TIMEOUT: Final = timedelta(seconds=15)
_COOKIES: Final = {
    "bearer_token": "AccessToken",
    "id_token": "IdToken",
    "refresh_token": "RefreshToken",
    "oauth_hmac": "OauthHMAC",
    "oauth_expires": "OauthExpires",
    "oauth_nonce": "OauthNonce",
    "code_verifier": "OauthCodeVerifier",
}
"""What cookies are called (kgateway's), before a suffix by which two extensions on one host stay apart."""
_SAME_SITE: Final = {
    "Lax": CookieConfigSameSite.LAX,
    "Strict": CookieConfigSameSite.STRICT,
    "None": CookieConfigSameSite.NONE,
}


def _built(graph: Reader, use: Use, block: Json) -> Built | Problem:
    """OAuth2Config, and as its place a JwtAuthentication that lets all pass where tokens are not checked."""
    whole = completed(graph, use.gateway, use.policy, block)
    if isinstance(whole, Problem):
        return whole
    block, sources = whole
    found = referenced(graph, use.policy, mapping(block.get("backendRef")))
    if isinstance(found, Problem):
        return found
    names = cookie_names(use.policy, block)
    checked = _checks(graph, use, block, names)
    if isinstance(checked, Problem):
        return checked
    checks, keys = checked
    asked = credentials(use, block)
    for one in asked:
        if isinstance(value := credential(graph, one), Problem):
            return value
    return Built(
        tuple(sorted(_config(use, block, found[0], names).items())),
        tuple(dict.fromkeys((found[0], *keys.backends))),
        # Without the Secret: what is in it stands apart, and a new one changes nothing here.
        sources,
        credentials=asked,
        place=checks,
    )


def credentials(use: Use, block: Json) -> tuple[Credential, Credential]:
    """What the provider knows the proxy by, and what cookies are signed and encrypted with."""
    name = str(mapping(mapping(block.get("credentials")).get("clientSecretRef")).get("name", ""))
    secret = Ref(use.policy.cluster, "", "Secret", use.policy.namespace, name)
    return Credential(use.gateway, secret), Credential(use.gateway, use.policy)


def cookie_names(extension: Ref, block: Json) -> dict[str, str]:
    """By Envoy's fields."""
    suffix = hashlib.blake2b(f"{extension.namespace}/{extension.name}".encode(), digest_size=8).hexdigest()
    found = {field: f"{name}-{suffix}" for field, name in _COOKIES.items()}
    said = mapping(mapping(block.get("cookies")).get("names"))
    for field, word in (("bearer_token", "accessToken"), ("id_token", "idToken")):
        if said.get(word):
            found[field] = str(said[word])
    return found


def _config(use: Use, block: Json, backend: BackendKey, names: dict[str, str]) -> dict[str, Any]:
    redirect = str(block.get("redirectURI") or _REDIRECT)
    forwards = bool(block.get("forwardAccessToken"))
    return {
        "token_endpoint": construct(
            HttpUri,
            uri=str(block.get("tokenEndpoint")),
            cluster=cluster_name(backend, use.gateway.cluster),
            timeout=_TIMEOUT,
        ),
        "authorization_endpoint": str(block.get("authorizationEndpoint")),
        "end_session_endpoint": str(block.get("endSessionEndpoint") or ""),
        "credentials": _credentials(use, block, names),
        "redirect_uri": redirect,
        "redirect_path_matcher": _exactly(redirect_path(redirect) or ""),
        "signout_path": _exactly(str(block.get("logoutPath") or LOGOUT_PATH)),
        "forward_bearer_token": forwards,
        # What a client sends there itself may be for the backend.
        "preserve_authorization_header": not forwards,
        "auth_scopes": list(texts(block.get("scopes"))),
        "deny_redirect_matcher": [_header(one) for one in items(mapping(block.get("denyRedirect")).get("headers"))],
        **_cookies(mapping(block.get("cookies"))),
    }


def _credentials(use: Use, block: Json, names: dict[str, str]) -> OAuth2Credentials:
    token, hmac = (_sds(credential_name(one.of)) for one in credentials(use, block))
    return construct(
        OAuth2Credentials,
        client_id=str(mapping(block.get("credentials")).get("clientID")),
        token_secret=token,
        hmac_secret=hmac,
        cookie_names=construct(OAuth2CredentialsCookieNames, **names),
        cookie_domain=str(mapping(block.get("cookies")).get("domain") or ""),
    )


def _cookies(block: Json) -> dict[str, Any]:
    found: dict[str, Any] = {
        "disable_access_token_set_cookie": bool(block.get("disableAccessTokenSetCookie")),
        "disable_id_token_set_cookie": bool(block.get("disableIDTokenSetCookie")),
        "disable_refresh_token_set_cookie": bool(block.get("disableRefreshTokenSetCookie")),
    }
    if (same_site := block.get("sameSite")) is not None:
        config = construct(CookieConfig, same_site=_SAME_SITE[str(same_site)])
        fields = ("bearer_token", "oauth_hmac", "oauth_expires", "id_token", "refresh_token", "oauth_nonce")
        each = {f"{field}_cookie_config": config for field in (*fields, "code_verifier")}
        found["cookie_configs"] = construct(CookieConfigs, **each)
    return found


def _sds(name: str) -> SdsSecretConfig:
    return construct(SdsSecretConfig, name=name, sds_config=ads())


def _exactly(path: str) -> PathMatcher:
    return construct(PathMatcher, path=construct(StringMatcher, exact=path))


def _header(block: Json) -> HeaderMatcher:
    value = str(block.get("value"))
    if block.get("type") == "RegularExpression":
        match = construct(StringMatcher, safe_regex=construct(RegexMatcher, regex=value))
    else:
        match = construct(StringMatcher, exact=value)
    return construct(HeaderMatcher, name=str(block.get("name")), string_match=match)


# -- tokens that are checked ------------------------------------------------------------------------------------------


def _checks(graph: Reader, use: Use, block: Json, names: dict[str, str]) -> tuple[JwtAuthentication, Keys] | Problem:
    """The tokens in the cookies, as the filter before has decrypted them."""
    jwt = mapping(block.get("jwt"))
    wanted = {
        word: (mapping(jwt.get(word)), names[field])
        for word, field in (("accessToken", "bearer_token"), ("idToken", "id_token"))
        if jwt.get(word) is not None
    }
    if not wanted:
        return construct(JwtAuthentication), Keys({})
    reference = mapping(jwt.get("jwksBackendRef")) or mapping(block.get("backendRef"))
    keys = remote_keys(graph, use, {"url": jwt["jwksURI"]}, reference)
    if isinstance(keys, Problem):
        return keys
    issuer = str(block.get("issuerURI") or "")
    providers = {
        f"{use.policy.name}_{use.policy.namespace}_{word}": _provider(word, asked, cookie, issuer, keys)
        for word, (asked, cookie) in wanted.items()
    }
    each = [construct(JwtRequirement, provider_name=name) for name in providers]
    both = construct(JwtRequirement, requires_all=construct(JwtRequirementAndList, requirements=each))
    rule = construct(
        RequirementRule, match=construct(RouteMatch, prefix=""), requires=each[0] if len(each) == 1 else both
    )
    return construct(JwtAuthentication, providers=providers, rules=[rule]), keys


def _provider(word: str, asked: Json, cookie: str, issuer: str, keys: Keys) -> JwtProvider:
    claims = claims_to_headers(asked)
    return construct(
        JwtProvider,
        issuer=issuer,
        audiences=list(texts(asked.get("audiences"))),
        forward=True,
        from_cookies=[cookie],
        payload_in_metadata=word,
        claim_to_headers=claims,
        **keys.fields,
    )


SECTION = Section("oauth2", _built)
