"""oauth2: clients sign in with a provider (RFC 6749, OpenID Connect Core 1.0), and are known by cookies afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.extension_section import ExtensionSection
from engine.models.http_route import HeaderMatch
from engine.models.references import BackendObjectReference, WeightedBackendRef
from engine.models.rules import Rule, Ruled
from engine.models.substitution import format_problem
from engine.models.texts import ObjectName, has_control_characters, is_token
from engine.models.tokens import Audiences, ClaimsToHeaders, url_problem

_LABEL: Final = r"[a-zA-Z0-9]([a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])?"
_ISSUER: Final = rf"^https://({_LABEL}\.)*{_LABEL}(:[0-9]{{1,5}})?(/[a-zA-Z0-9\-._~!$&'()*+,;=:@%]*)*/?"
HTTPS_URI: Final = rf"{_ISSUER}(\?[a-zA-Z0-9\-._~!$&'()*+,;=:@%/?]*)?$"
_DOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9]))*$"
_REDIRECT: Final = re.compile(r"[^/?#]+://[^/?#]+(/[^?#]+)")

_HttpsUri = Annotated[str, Field(pattern=HTTPS_URI)]
_CookieName = Annotated[str, Field(min_length=1)]

LOGOUT_PATH: Final = "/logout"


def redirect_path(uri: str) -> str | None:
    """The path of a redirectURI, which may hold formats of Envoy's before it; None where there is none."""
    found = _REDIRECT.fullmatch(uri)
    return found[1] if found is not None and "%" not in found[1] else None


class SecretName(Model):
    """LocalObjectReference of the core group."""

    name: ObjectName


class Credentials(Model):
    """OAuth2Credentials: what the provider knows the proxy by."""

    client_id: Annotated[str, Field(alias="clientID", min_length=1)]
    client_secret_ref: Annotated[SecretName, Field(description="Of the namespace, with the secret in client-secret.")]


class CookieNames(Ruled):
    """OAuth2CookieNames."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    access_token: _CookieName | None = None
    id_token: _CookieName | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no other names, and none twice."""
        for place, name in (("accessToken", self.access_token), ("idToken", self.id_token)):
            if name is not None and not is_token(name):
                yield place, f"{name[:64]!r} is no cookie's name: use letters, digits and any of !#$%&'*+-.^_`|~"
        if self.access_token is not None and self.access_token == self.id_token:
            yield "idToken", "is the name of the access token's cookie, too: give each its own"


class Cookies(Model):
    """OAuth2CookieConfig: what browsers keep."""

    domain: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=253,
                pattern=_DOMAIN,
                description="Whose hosts all get the cookies; without, the request's host alone.",
            ),
        ]
        | None
    ) = None
    names: Annotated[CookieNames, Field(description="AccessToken- and IdToken- with a suffix without.")] | None = None
    # In the order of session persistence: Python takes equal Literals for one.
    same_site: Literal["Strict", "Lax", "None"] | None = None
    disable_access_token_set_cookie: bool | None = None
    disable_id_token_set_cookie: Annotated[bool | None, Field(alias="disableIDTokenSetCookie")] = None
    disable_refresh_token_set_cookie: bool | None = None


class TokenChecks(Model):
    """OAuth2JWTProcessingConfig: how a token that the provider gave is checked with each request."""

    audiences: Annotated[Audiences, Field(description="One of which claim aud must say; anything without.")] | None = (
        None
    )
    claims_to_headers: ClaimsToHeaders | None = None


class Tokens(Ruled):
    """OAuth2JWTConfig: the provider's tokens are JSON Web Tokens, and checked."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    jwks_uri: Annotated[_HttpsUri | None, Field(alias="jwksURI", description="Of the provider's keys.")] = None
    jwks_backend_ref: Annotated[
        BackendObjectReference | None,
        Field(alias="jwksBackendRef", description="Where connections to it go; to backendRef without."),
    ] = None
    access_token: TokenChecks | None = None
    id_token: TokenChecks | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """What Envoy could not ask for."""
        if self.jwks_uri is not None and url_problem(self.jwks_uri) is not None:
            yield "jwksURI", f"{self.jwks_uri[:64]!r} is no URL: write it as https://example.com/keys"


class DenyRedirect(Model):
    """OAuth2DenyRedirectMatcher."""

    headers: Annotated[tuple[HeaderMatch, ...], Field(min_length=1, max_length=16)] | None = None


def _endpoints(self: OAuth2) -> bool:
    both = self.authorization_endpoint is not None and self.token_endpoint is not None
    return self.issuer_uri is not None or both


def _keys(self: OAuth2) -> bool:
    asked = self.jwt is not None and (self.jwt.access_token is not None or self.jwt.id_token is not None)
    return not asked or self.issuer_uri is not None or (self.jwt is not None and self.jwt.jwks_uri is not None)


def _kept(self: OAuth2, token: str, disabled: str) -> bool:
    return getattr(self.jwt, token, None) is None or not getattr(self.cookies, disabled, None)


class OAuth2(Ruled):
    """OAuth2Provider."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.issuerURI) || (has(self.authorizationEndpoint) && has(self.tokenEndpoint))",
            "Either issuerURI, or both authorizationEndpoint and tokenEndpoint must be specified",
            _endpoints,
        ),
        Rule(
            "!(has(self.jwt) && (has(self.jwt.accessToken) || has(self.jwt.idToken))) || has(self.issuerURI) || "
            "has(self.jwt.jwksURI)",
            "Either issuerURI or jwksURI must be specified for JWT parsing",
            _keys,
        ),
        Rule(
            "!(has(self.jwt) && has(self.jwt.accessToken)) || !has(self.cookies) || "
            "!has(self.cookies.disableAccessTokenSetCookie) || !self.cookies.disableAccessTokenSetCookie",
            "Access token cookie must not be disabled when the token should be parsed",
            lambda self: _kept(self, "access_token", "disable_access_token_set_cookie"),
        ),
        Rule(
            "!(has(self.jwt) && has(self.jwt.idToken)) || !has(self.cookies) || "
            "!has(self.cookies.disableIDTokenSetCookie) || !self.cookies.disableIDTokenSetCookie",
            "ID token cookie must not be disabled when the token should be parsed",
            lambda self: _kept(self, "id_token", "disable_id_token_set_cookie"),
        ),
    )

    backend_ref: Annotated[WeightedBackendRef, Field(description="Where the proxy asks for tokens.")]
    authorization_endpoint: Annotated[_HttpsUri, Field(description="To which browsers are sent.")] | None = None
    token_endpoint: Annotated[_HttpsUri, Field(description="Which the proxy asks for tokens.")] | None = None
    redirect_uri: Annotated[
        str | None,
        Field(
            alias="redirectURI",
            description="To which the provider sends browsers back; <scheme>://<host>/oauth2/redirect without.",
        ),
    ] = None
    logout_path: Annotated[str, Field(min_length=1, description="Where cookies are taken off.")] = LOGOUT_PATH
    forward_access_token: (
        Annotated[bool, Field(description="Whether the backend gets the access token in Authorization.")] | None
    ) = None
    scopes: Annotated[tuple[str, ...], Field(description='That are asked for; "user" without.')] = ()
    credentials: Credentials
    issuer_uri: Annotated[
        str | None,
        Field(
            alias="issuerURI",
            max_length=2048,
            pattern=f"{_ISSUER}$",
            description="Asked for endpoints that are missing; what claim iss must say of tokens that are checked.",
        ),
    ] = None
    end_session_endpoint: (
        Annotated[_HttpsUri, Field(description="To which browsers are sent when they sign out; needs scope openid.")]
        | None
    ) = None
    cookies: Cookies | None = None
    jwt: Annotated[Tokens, Field(description="How tokens are checked; not at all without.")] | None = None
    deny_redirect: (
        Annotated[DenyRedirect, Field(description="Requests that are answered with 401 in place of a redirect.")] | None
    ) = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """What Envoy would not take, or never see."""
        for place in ("authorization_endpoint", "token_endpoint", "end_session_endpoint"):
            uri = getattr(self, place)
            if uri is not None and url_problem(uri) is not None:
                yield _written(place), f"{uri[:64]!r} is no URL: write it as https://example.com/path"
        if self.end_session_endpoint is not None and "openid" not in self.scopes:
            yield "endSessionEndpoint", "is of OpenID Connect: add openid to scopes"
        yield from self._paths()

    def _paths(self) -> Iterator[tuple[str, str]]:
        if not self.logout_path.startswith("/") or has_control_characters(self.logout_path):
            yield "logoutPath", f"{self.logout_path[:64]!r} is no path: begin it with /"
        if self.redirect_uri is None:
            return
        if (problem := format_problem(self.redirect_uri)) is not None:
            yield "redirectURI", f"{self.redirect_uri[:64]!r} is no URL: {problem}"
        elif (path := redirect_path(self.redirect_uri)) is None or has_control_characters(self.redirect_uri):
            yield (
                "redirectURI",
                f"{self.redirect_uri[:64]!r} is no URL: write it as https://example.com/oauth2/redirect",
            )
        elif path == self.logout_path:
            yield "redirectURI", "has the path of logoutPath: give each its own"


def _written(attribute: str) -> str:
    first, *rest = attribute.split("_")
    return first + "".join(map(str.capitalize, rest))


SECTION = ExtensionSection("oauth2", "OAuth2", OAuth2)
