"""jwt: whose tokens (RFC 7519) are taken, where they are looked for, and what backends are told of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.duration import Span, at_least
from engine.models.extension_section import ExtensionSection
from engine.models.extension_service import GROWS
from engine.models.json_web_key import key_set
from engine.models.references import BackendObjectReference
from engine.models.rules import ListMap, Rule, Ruled, exactly_one
from engine.models.texts import INT32, is_token
from engine.models.tokens import NO_HEADER, Audiences, ClaimsToHeaders, url_problem

_Long = Annotated[str, Field(min_length=1, max_length=2048)]


class HeaderSource(Ruled):
    """A header with a token."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    header: Annotated[_Long, Field(description='Such as "Authorization".')]
    prefix: Annotated[_Long, Field(description='What stands before the token, such as "Bearer ".')] | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy takes no other names."""
        if not is_token(self.header):
            yield "header", f"{self.header[:64]!r} {NO_HEADER}"
        if self.prefix is not None and not self.prefix.isprintable():
            yield "prefix", "has characters that no header has"


class TokenSource(Ruled):
    """JWTTokenSource: one place."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("header", "header"), ("queryParameter", "query_parameter")),)

    header: HeaderSource | None = None
    query_parameter: str | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Nothing can be found under no name."""
        if self.query_parameter == "":
            yield "queryParameter", "is empty: name one"


class ConfigMapReference(Model):
    """LocalObjectReference of the core group."""

    name: Annotated[str, Field(description="Of a ConfigMap of the same namespace, with the keys in jwks.")]


class LocalKeys(Ruled):
    """LocalJWKS: written out."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("inline", "inline"), ("configMapRef", "config_map_ref")),)

    inline: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=16384,
                description="A JSON Web Key Set (RFC 7517), one key of it alone, or public keys in PEM.",
            ),
        ]
        | None
    ) = None
    config_map_ref: ConfigMapReference | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy rejects all that stands beside keys that it cannot read."""
        if self.inline is not None and (problem := key_set(self.inline)[1]) is not None:
            yield "inline", problem


class AsyncFetch(Model):
    """JWKSAsyncFetch: keys are fetched before a request needs them."""

    fast_listener: Annotated[bool, Field(description="Whether nobody waits for the first of them.")] | None = None
    failed_refetch_duration: Annotated[Span, at_least("1ms"), Field(description="1s without.")] | None = None


class BackOff(Ruled):
    """JWKSRetryBackOff."""

    RULES: ClassVar[tuple[Rule, ...]] = (GROWS,)

    base_interval: Annotated[Span, at_least("1ms")]
    max_interval: Annotated[Span, Field(description="10 times baseInterval without.")] | None = None


class RetryPolicy(Model):
    """JWKSRetryPolicy."""

    num_retries: Annotated[int, Field(ge=0, le=INT32, json_schema_extra={"format": "int32"})] | None = None
    back_off: BackOff | None = None


class RemoteKeys(Ruled):
    """RemoteJWKS: fetched by the proxy."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    url: Annotated[_Long, Field(description="With scheme, host and path; connections go to the backend.")]
    backend_ref: BackendObjectReference
    cache_duration: Annotated[Span, at_least("1ms"), Field(description="5m without.")] | None = None
    async_fetch: AsyncFetch | None = None
    retry_policy: RetryPolicy | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """What Envoy could not ask for."""
        if (problem := url_problem(self.url)) is not None:
            yield "url", problem


class Keys(Ruled):
    """JWKS: what tokens are signed with."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("local", "local"), ("remote", "remote")),)

    local: LocalKeys | None = None
    remote: RemoteKeys | None = None


class Provider(Model):
    """NamedJWTProvider: who issues tokens."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    issuer: Annotated[str, Field(max_length=2048, description="What claim iss must say; anything without.")] = ""
    audiences: Annotated[Audiences, Field(description="One of which claim aud must say; anything without.")] | None = (
        None
    )
    token_source: (
        Annotated[
            TokenSource,
            Field(description="By default header Authorization behind Bearer, and query parameter access_token."),
        ]
        | None
    ) = None
    claims_to_headers: ClaimsToHeaders | None = None
    jwks: Keys
    forward_token: Annotated[bool, Field(description="Whether the backend sees the token.")] | None = None


class Jwt(Model):
    """A token of one of the providers is asked for."""

    validation_mode: (
        Annotated[
            Literal["Strict", "AllowMissing"],
            Field(description="Strict without; AllowMissing lets requests by that have no token, none with a bad one."),
        ]
        | None
    ) = None
    providers: Annotated[tuple[Provider, ...], Field(max_length=32), ListMap("name")] = ()


SECTION = ExtensionSection("jwt", "JWT", Jwt)
