"""HTTPRoute (gateway.networking.k8s.io/v1, experimental channel of v1.6)."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from engine.models.base import (
    Duration,
    HeaderName,
    HeaderValue,
    Hostname,
    Json,
    Metadata,
    Model,
    Port,
    PreciseHostname,
    SectionName,
    check_regex,
)
from engine.models.duration import milliseconds
from engine.models.references import BackendObjectReference, LocalObjectReference, ParentReference

_PATH = re.compile(r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$")
_FORBIDDEN = ("//", "/./", "/../", "%2f", "%2F", "#")
_FORBIDDEN_ENDS = ("/..", "/.")
_ORIGIN = r"(^\*$)|(^([a-zA-Z][a-zA-Z0-9+\-.]*):\/\/([^:/?#]+)(:([0-9]{1,5}))?$)"


class PathMatch(Model):
    """HTTPPathMatch."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Annotated[str, Field(max_length=1024)] = "/"

    @model_validator(mode="after")
    def _value(self) -> Self:
        if self.type == "RegularExpression":
            check_regex(self.value)
            return self
        if not self.value.startswith("/"):
            msg = f"value must be an absolute path and start with '/' when type is {self.type}"
            raise ValueError(msg)
        bad = [part for part in _FORBIDDEN if part in self.value]
        bad += [end for end in _FORBIDDEN_ENDS if self.value.endswith(end)]
        if bad:
            msg = f"must not contain or end with {bad[0]!r} when type is {self.type}"
            raise ValueError(msg)
        if not _PATH.match(self.value):
            msg = f"must only contain valid characters of a path when type is {self.type}"
            raise ValueError(msg)
        return self


class _Match(Model):
    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: Annotated[str, Field(min_length=1, max_length=4096)]

    @model_validator(mode="after")
    def _regex(self) -> Self:
        if self.type == "RegularExpression":
            check_regex(self.value)
        return self


class HeaderMatch(_Match):
    """HTTPHeaderMatch."""


class QueryMatch(_Match):
    """HTTPQueryParamMatch."""

    value: Annotated[str, Field(min_length=1, max_length=1024)]


class RouteMatch(Model):
    """HTTPRouteMatch."""

    path: PathMatch = PathMatch()
    headers: Annotated[list[HeaderMatch], Field(max_length=16)] = []
    query_params: Annotated[list[QueryMatch], Field(max_length=16)] = []
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] | None = None


class Header(Model):
    """HTTPHeader."""

    name: HeaderName
    value: HeaderValue


class HeaderFilter(Model):
    """HTTPHeaderFilter."""

    set: Annotated[list[Header], Field(max_length=16)] = []
    add: Annotated[list[Header], Field(max_length=16)] = []
    remove: Annotated[list[HeaderName], Field(max_length=16)] = []

    @model_validator(mode="after")
    def _envoy_takes_it(self) -> Self:
        for name in [one.name for one in (*self.set, *self.add)] + list(self.remove):
            # Envoy rejects the whole route configuration for these (its header parser's own rule).
            if name.lower() == "host" or name.startswith(":"):
                msg = f"{name} cannot be changed by a header filter: use URLRewrite.hostname"
                raise ValueError(msg)
        return self


class PathModifier(Model):
    """HTTPPathModifier."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: Annotated[str, Field(max_length=1024)] | None = None
    replace_prefix_match: Annotated[str, Field(max_length=1024)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        full = self.type == "ReplaceFullPath"
        wanted, other = self.replace_full_path, self.replace_prefix_match
        if not full:
            wanted, other = other, wanted
        if wanted is None or other is not None:
            name = "replaceFullPath" if full else "replacePrefixMatch"
            msg = f"{name}, and nothing else, must be specified when type is {self.type}"
            raise ValueError(msg)
        return self


class Redirect(Model):
    """HTTPRequestRedirectFilter."""

    scheme: Literal["http", "https"] | None = None
    hostname: PreciseHostname | None = None
    path: PathModifier | None = None
    port: Port | None = None
    status_code: Literal[301, 302, 303, 307, 308] = 302


class Rewrite(Model):
    """HTTPURLRewriteFilter."""

    hostname: PreciseHostname | None = None
    path: PathModifier | None = None


class Fraction(Model):
    """Fraction."""

    numerator: Annotated[int, Field(ge=0)]
    denominator: Annotated[int, Field(ge=1)] = 100

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if self.numerator > self.denominator:
            msg = "numerator must be less than or equal to denominator"
            raise ValueError(msg)
        return self


class MirrorFilter(Model):
    """HTTPRequestMirrorFilter."""

    backend_ref: BackendObjectReference
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    fraction: Fraction | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.percent is not None and self.fraction is not None:
            msg = "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter"
            raise ValueError(msg)
        return self


class CorsFilter(Model):
    """HTTPCORSFilter."""

    allow_origins: Annotated[list[Annotated[str, Field(max_length=253, pattern=_ORIGIN)]], Field(max_length=64)] = []
    allow_credentials: bool | None = None
    allow_methods: Annotated[list[str], Field(max_length=9)] = []
    allow_headers: Annotated[list[HeaderName], Field(max_length=64)] = []
    expose_headers: Annotated[list[HeaderName], Field(max_length=64)] = []
    max_age: Annotated[int, Field(ge=1)] = 5


_BLOCKS = {
    "RequestHeaderModifier": "request_header_modifier",
    "ResponseHeaderModifier": "response_header_modifier",
    "RequestMirror": "request_mirror",
    "RequestRedirect": "request_redirect",
    "URLRewrite": "url_rewrite",
    "ExtensionRef": "extension_ref",
    "CORS": "cors",
    "ExternalAuth": "external_auth",
}
_REPEATABLE = {"RequestMirror", "ExtensionRef"}


class Filter(Model):
    """HTTPRouteFilter."""

    type: Literal[
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "ExtensionRef",
        "CORS",
        "ExternalAuth",
    ]
    request_header_modifier: HeaderFilter | None = None
    response_header_modifier: HeaderFilter | None = None
    request_mirror: MirrorFilter | None = None
    request_redirect: Redirect | None = None
    url_rewrite: Annotated[Rewrite | None, Field(alias="urlRewrite")] = None
    extension_ref: LocalObjectReference | None = None
    cors: CorsFilter | None = None
    external_auth: Json | None = None

    @model_validator(mode="after")
    def _block(self) -> Self:
        given = {kind for kind, name in _BLOCKS.items() if getattr(self, name) is not None}
        if given != {self.type}:
            msg = f"a filter of type {self.type} must have the block of that type, and no other"
            raise ValueError(msg)
        return self


def _check_filters(filters: list[Filter]) -> None:
    kinds = [one.type for one in filters]
    for kind in kinds:
        if kind not in _REPEATABLE and kinds.count(kind) > 1:
            msg = f"{kind} filter cannot be repeated"
            raise ValueError(msg)
    if "RequestRedirect" in kinds and "URLRewrite" in kinds:
        msg = "May specify either RequestRedirect or URLRewrite in filters, but not both"
        raise ValueError(msg)


class BackendRef(BackendObjectReference):
    """HTTPBackendRef."""

    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    filters: Annotated[list[Filter], Field(max_length=16)] = []

    @model_validator(mode="after")
    def _filters(self) -> Self:
        _check_filters(self.filters)
        return self


class Timeouts(Model):
    """HTTPRouteTimeouts."""

    request: Duration | None = None
    backend_request: Duration | None = None

    @model_validator(mode="after")
    def _nested(self) -> Self:
        request, backend = (milliseconds(one) if one else 0 for one in (self.request, self.backend_request))
        if request and backend and backend > request:
            msg = "backendRequest timeout cannot be longer than request timeout"
            raise ValueError(msg)
        return self


class Retry(Model):
    """HTTPRouteRetry."""

    codes: Annotated[list[Annotated[int, Field(ge=400, le=599)]], Field(max_length=200)] = []
    attempts: Annotated[int, Field(ge=0)] | None = None
    backoff: Duration | None = None


class CookieConfig(Model):
    """CookieConfig."""

    lifetime_type: Literal["Permanent", "Session"] = "Session"


class SessionPersistence(Model):
    """SessionPersistence."""

    session_name: Annotated[str, Field(max_length=128)] | None = None
    absolute_timeout: Duration | None = None
    idle_timeout: Duration | None = None
    type: Literal["Cookie", "Header"] = "Cookie"
    cookie_config: CookieConfig | None = None

    @model_validator(mode="after")
    def _permanent(self) -> Self:
        permanent = self.cookie_config is not None and self.cookie_config.lifetime_type == "Permanent"
        if permanent and self.absolute_timeout is None:
            msg = "AbsoluteTimeout must be specified when cookie lifetimeType is Permanent"
            raise ValueError(msg)
        return self


class Rule(Model):
    """HTTPRouteRule."""

    name: SectionName | None = None
    matches: Annotated[list[RouteMatch], Field(max_length=64)] = []
    filters: Annotated[list[Filter], Field(max_length=16)] = []
    backend_refs: Annotated[list[BackendRef], Field(max_length=16)] = []
    timeouts: Timeouts | None = None
    retry: Retry | None = None
    session_persistence: SessionPersistence | None = None

    @model_validator(mode="after")
    def _filters_fit(self) -> Self:
        _check_filters(self.filters)
        for one in self.filters:
            if one.request_redirect is not None and self.backend_refs:
                msg = "RequestRedirect filter must not be used together with backendRefs"
                raise ValueError(msg)
            change = (one.request_redirect or one.url_rewrite) and (
                one.request_redirect.path if one.request_redirect else one.url_rewrite and one.url_rewrite.path
            )
            if change and change.replace_prefix_match is not None and not self._one_prefix():
                msg = "replacePrefixMatch needs exactly one match, of type PathPrefix"
                raise ValueError(msg)
        return self

    def _one_prefix(self) -> bool:
        return not self.matches or (len(self.matches) == 1 and self.matches[0].path.type == "PathPrefix")


class HTTPRouteSpec(Model):
    """HTTPRouteSpec."""

    parent_refs: Annotated[list[ParentReference], Field(max_length=32)] = []
    hostnames: Annotated[list[Hostname], Field(max_length=16)] = []
    rules: Annotated[list[Rule], Field(min_length=1, max_length=16)] = [Rule()]
    use_default_gateways: Literal["All", "None"] | None = None


class HTTPRoute(Model):
    """An HTTPRoute."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: HTTPRouteSpec
