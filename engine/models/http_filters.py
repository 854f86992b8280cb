"""Filters of an HTTPRoute (gateway.networking.k8s.io/v1, experimental channel of v1.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.references import BackendObjectReference, LocalObjectReference
from engine.models.rules import ListMap, ListSet, Rule, Ruled, Rules
from engine.models.substitution import format_problem
from engine.models.texts import (
    FRAMING,
    INT32,
    PATH,
    HeaderName,
    HeaderValue,
    Port,
    PreciseHostname,
    has_control_characters,
    is_token,
)

_ORIGIN = r"(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)"
_INT32 = {"format": "int32"}


class Header(Ruled):
    """HTTPHeader."""

    name: HeaderName
    value: HeaderValue

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy formats a value, and rejects the whole route configuration for one that it cannot."""
        problem = format_problem(self.value)
        if problem is not None:
            yield "value", f"{self.value[:64]!r} is no header value: {problem}"


_Headers = Annotated[tuple[Header, ...], Field(max_length=16), ListMap("name")]


class HeaderFilter(Ruled):
    """HTTPHeaderFilter."""

    set: _Headers = ()
    add: _Headers = ()
    remove: Annotated[tuple[str, ...], Field(max_length=16), ListSet()] = ()

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy rejects the whole route configuration for these (its header parser's own rules)."""
        for place, headers in (("set", self.set), ("add", self.add)):
            for number, header in enumerate(headers):
                if header.name.lower() == "host":
                    yield (
                        f"{place}[{number}].name",
                        "host cannot be changed by a header filter: use URLRewrite.hostname",
                    )
                if header.name.lower() in FRAMING:
                    text = f"{header.name} belongs to Envoy, which frames the message: leave it out"
                    yield f"{place}[{number}].name", text
        for number, name in enumerate(self.remove):
            if name.lower() == "host":
                yield f"remove[{number}]", "host cannot be removed: no request is without"
            elif not is_token(name):
                yield f"remove[{number}]", f"{name!r} is no header name: use letters, digits and any of !#$%&'*+-.^_`|~"


class PathModifier(Ruled):
    """HTTPPathModifier."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.type == 'ReplaceFullPath' ? has(self.replaceFullPath) : true",
            "replaceFullPath must be specified when type is set to 'ReplaceFullPath'",
            lambda self: self.type != "ReplaceFullPath" or self.replace_full_path is not None,
        ),
        Rule(
            "has(self.replaceFullPath) ? self.type == 'ReplaceFullPath' : true",
            "type must be 'ReplaceFullPath' when replaceFullPath is set",
            lambda self: self.type == "ReplaceFullPath" or self.replace_full_path is None,
        ),
        Rule(
            "self.type == 'ReplacePrefixMatch' ? has(self.replacePrefixMatch) : true",
            "replacePrefixMatch must be specified when type is set to 'ReplacePrefixMatch'",
            lambda self: self.type != "ReplacePrefixMatch" or self.replace_prefix_match is not None,
        ),
        Rule(
            "has(self.replacePrefixMatch) ? self.type == 'ReplacePrefixMatch' : true",
            "type must be 'ReplacePrefixMatch' when replacePrefixMatch is set",
            lambda self: self.type == "ReplacePrefixMatch" or self.replace_prefix_match is None,
        ),
    )

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: Annotated[str, Field(max_length=1024)] | None = None
    replace_prefix_match: Annotated[str, Field(max_length=1024)] | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy rejects control characters in a path."""
        for place, text in (
            ("replaceFullPath", self.replace_full_path),
            ("replacePrefixMatch", self.replace_prefix_match),
        ):
            if text is not None and has_control_characters(text):
                yield place, "cannot contain control characters"


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


class Fraction(Ruled):
    """Fraction."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.numerator <= self.denominator",
            "numerator must be less than or equal to denominator",
            lambda self: self.numerator <= self.denominator,
        ),
    )

    numerator: Annotated[int, Field(ge=0, le=INT32, json_schema_extra=_INT32)]
    denominator: Annotated[int, Field(ge=1, le=INT32, json_schema_extra=_INT32)] = 100


class MirrorFilter(Ruled):
    """HTTPRequestMirrorFilter."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(has(self.percent) && has(self.fraction))",
            "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter",
            lambda self: self.percent is None or self.fraction is None,
        ),
    )

    backend_ref: BackendObjectReference
    percent: Annotated[int, Field(ge=0, le=100, json_schema_extra=_INT32)] | None = None
    fraction: Fraction | None = None


def _star_alone(message: str) -> Rules:
    return Rules((Rule("!('*' in self && self.size() > 1)", message, lambda self: "*" not in self or len(self) == 1),))


class CorsFilter(Model):
    """HTTPCORSFilter."""

    allow_origins: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253, pattern=_ORIGIN)], ...],
        Field(max_length=64),
        ListSet(),
        _star_alone("AllowOrigins cannot contain '*' alongside other origins"),
    ] = ()
    allow_credentials: bool | None = None
    allow_methods: Annotated[
        tuple[Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"], ...],
        Field(max_length=9),
        ListSet(),
        _star_alone("AllowMethods cannot contain '*' alongside other methods"),
    ] = ()
    allow_headers: Annotated[
        tuple[HeaderName, ...],
        Field(max_length=64),
        ListSet(),
        _star_alone("AllowHeaders cannot contain '*' alongside other methods"),
    ] = ()
    expose_headers: Annotated[tuple[HeaderName, ...], Field(max_length=64), ListSet()] = ()
    max_age: Annotated[int, Field(ge=1, le=INT32, json_schema_extra=_INT32)] = 5


class ForwardBody(Model):
    """ForwardBodyConfig."""

    max_size: int | None = None


class HttpAuth(Model):
    """HTTPAuthConfig."""

    path: Annotated[str, Field(max_length=1024, pattern=PATH)] | None = None
    allowed_headers: Annotated[tuple[str, ...], Field(max_length=64), ListSet()] = ()
    allowed_response_headers: Annotated[tuple[str, ...], Field(max_length=64), ListSet()] = ()


class GrpcAuth(Model):
    """GRPCAuthConfig."""

    allowed_headers: Annotated[tuple[str, ...], Field(max_length=64), ListSet()] = ()


class ExternalAuthFilter(Ruled):
    """HTTPExternalAuthFilter."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.protocol == 'GRPC' ? has(self.grpc) : true",
            "grpc must be specified when protocol is set to 'GRPC'",
            lambda self: self.protocol != "GRPC" or self.grpc is not None,
        ),
        Rule(
            "has(self.grpc) ? self.protocol == 'GRPC' : true",
            "protocol must be 'GRPC' when grpc is set",
            lambda self: self.protocol == "GRPC" or self.grpc is None,
        ),
        Rule(
            "self.protocol == 'HTTP' ? has(self.http) : true",
            "http must be specified when protocol is set to 'HTTP'",
            lambda self: self.protocol != "HTTP" or self.http is not None,
        ),
        Rule(
            "has(self.http) ? self.protocol == 'HTTP' : true",
            "protocol must be 'HTTP' when http is set",
            lambda self: self.protocol == "HTTP" or self.http is None,
        ),
    )

    protocol: Literal["HTTP", "GRPC"]
    backend_ref: BackendObjectReference
    grpc: GrpcAuth | None = None
    http: HttpAuth | None = None
    forward_body: ForwardBody | None = None


BLOCKS: Final = {
    "CORS": ("cors", "cors"),
    "RequestHeaderModifier": ("requestHeaderModifier", "request_header_modifier"),
    "ResponseHeaderModifier": ("responseHeaderModifier", "response_header_modifier"),
    "RequestMirror": ("requestMirror", "request_mirror"),
    "RequestRedirect": ("requestRedirect", "request_redirect"),
    "URLRewrite": ("urlRewrite", "url_rewrite"),
    "ExtensionRef": ("extensionRef", "extension_ref"),
    "ExternalAuth": ("externalAuth", "external_auth"),
}
"""Filter type: its block as written, and as attribute."""


def block_rules(kind: str, name: str, attribute: str) -> tuple[Rule, Rule]:
    """A filter has the block of its type, and no other."""
    return (
        Rule(
            f"!(has(self.{name}) && self.type != '{kind}')",
            f"filter.{name} must be nil if the filter.type is not {kind}",
            lambda self: self.type == kind or getattr(self, attribute) is None,
        ),
        Rule(
            f"!(!has(self.{name}) && self.type == '{kind}')",
            f"filter.{name} must be specified for {kind} filter.type",
            lambda self: self.type != kind or getattr(self, attribute) is not None,
        ),
    )


class Filter(Ruled):
    """HTTPRouteFilter."""

    RULES: ClassVar[tuple[Rule, ...]] = tuple(
        rule for kind, (name, attribute) in BLOCKS.items() for rule in block_rules(kind, name, attribute)
    )

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
    url_rewrite: Rewrite | None = None
    extension_ref: LocalObjectReference | None = None
    cors: CorsFilter | None = None
    external_auth: ExternalAuthFilter | None = None


def not_repeated(kind: str) -> Rule:
    """A filter of the type stands there once at most."""
    return Rule(
        f"self.filter(f, f.type == '{kind}').size() <= 1",
        f"{kind} filter cannot be repeated",
        lambda self: sum(one.type == kind for one in self) <= 1,
    )


def _has(filters: Iterable[Filter], kind: str) -> bool:
    return any(one.type == kind for one in filters)


FILTERS: Final = Rules(
    (
        Rule(
            "!(self.exists(f, f.type == 'RequestRedirect') && self.exists(f, f.type == 'URLRewrite'))",
            "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both",
            lambda self: not (_has(self, "RequestRedirect") and _has(self, "URLRewrite")),
        ),
        *(
            not_repeated(kind)
            for kind in ("CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite")
        ),
    )
)

Filters = Annotated[tuple[Filter, ...], Field(max_length=16), FILTERS]
