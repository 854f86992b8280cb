"""HTTPRoute (gateway.networking.k8s.io/v1, experimental channel of v1.6)."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from engine.models.base import Model, Object
from engine.models.duration import milliseconds
from engine.models.http_filters import Filter, Filters
from engine.models.kind import Kind
from engine.models.references import WeightedBackendRef
from engine.models.route import ParentRefs, rules_of
from engine.models.rules import ListMap, ListSet, Rule, Ruled
from engine.models.session_persistence import SessionPersistence
from engine.models.texts import PATH, Duration, HeaderName, HeaderValue, Hostname, SectionName, regex_problems

_PATH = re.compile(PATH.removesuffix("$"))
_UINT32 = 2**32 - 1
_PLAIN: Final = ("Exact", "PathPrefix")
_SLASH: Final = {"path": {"type": "PathPrefix", "value": "/"}}


def _plain(self: Any) -> bool:
    return self.type in _PLAIN


def _not_containing(part: str) -> Rule:
    return Rule(
        f"(self.type in ['Exact','PathPrefix']) ? !self.value.contains('{part}') : true",
        f"must not contain '{part}' when type one of ['Exact', 'PathPrefix']",
        lambda self: not (_plain(self) and part in self.value),
    )


def _not_ending(end: str) -> Rule:
    return Rule(
        f"(self.type in ['Exact','PathPrefix']) ? !self.value.endsWith('{end}') : true",
        f"must not end with '{end}' when type one of ['Exact', 'PathPrefix']",
        lambda self: not (_plain(self) and self.value.endswith(end)),
    )


class PathMatch(Ruled):
    """HTTPPathMatch."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(self.type in ['Exact','PathPrefix']) ? self.value.startsWith('/') : true",
            "value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']",
            lambda self: not _plain(self) or self.value.startswith("/"),
        ),
        *(_not_containing(part) for part in ("//", "/./", "/../", "%2f", "%2F", "#")),
        *(_not_ending(end) for end in ("/..", "/.")),
        Rule(
            "self.type in ['Exact','PathPrefix'] || self.type == 'RegularExpression'",
            "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']",
            lambda _: True,  # the field's own enum says so
        ),
        Rule(
            "(self.type in ['Exact','PathPrefix']) ? self.value.matches(r\"\"\"" + PATH + '""") : true',
            f"must only contain valid characters (matching {PATH}) for types ['Exact', 'PathPrefix']",
            lambda self: not _plain(self) or _PATH.fullmatch(self.value) is not None,
        ),
    )

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Annotated[str, Field(max_length=1024)] = "/"

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """Envoy rejects the whole route configuration for a regular expression that RE2 does not take."""
        return () if _plain(self) else regex_problems(self.value)


class HeaderMatch(Ruled):
    """HTTPHeaderMatch."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: HeaderValue

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """As for a path."""
        return () if self.type == "Exact" else regex_problems(self.value)


class QueryMatch(Ruled):
    """HTTPQueryParamMatch."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: Annotated[str, Field(min_length=1, max_length=1024)]

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """As for a path."""
        return () if self.type == "Exact" else regex_problems(self.value)


class RouteMatch(Model):
    """HTTPRouteMatch."""

    path: Annotated[PathMatch, Field(json_schema_extra={"default": _SLASH["path"]})] = PathMatch()
    headers: Annotated[tuple[HeaderMatch, ...], Field(max_length=16), ListMap("name")] = ()
    query_params: Annotated[tuple[QueryMatch, ...], Field(max_length=16), ListMap("name")] = ()
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] | None = None


class BackendRef(WeightedBackendRef):
    """HTTPBackendRef."""

    filters: Filters = ()


class Timeouts(Ruled):
    """HTTPRouteTimeouts."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(has(self.request) && has(self.backendRequest) && duration(self.request) != duration('0s') && "
            "duration(self.backendRequest) > duration(self.request))",
            "backendRequest timeout cannot be longer than request timeout",
            lambda self: not 0 < (milliseconds(self.request) or 0) < (milliseconds(self.backend_request) or 0),
        ),
    )

    request: Duration | None = None
    backend_request: Duration | None = None


class Retry(Ruled):
    """HTTPRouteRetry."""

    codes: Annotated[tuple[Annotated[int, Field(ge=400, le=599)], ...], ListSet()] = ()
    attempts: Annotated[int, Field(ge=1)] | None = None
    backoff: Duration | None = None

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """Envoy counts retries in 32 bits, and its shortest pause is a millisecond."""
        if self.attempts is not None and self.attempts > _UINT32:
            return (("attempts", f"must be at most {_UINT32}"),)
        return ()


def _prefix_path(one: Filter, kind: str) -> bool:
    block = one.request_redirect if kind == "RequestRedirect" else one.url_rewrite
    return block is not None and block.path is not None and block.path.replace_prefix_match is not None


def _one_prefix(rule: Any) -> bool:
    return len(rule.matches) == 1 and rule.matches[0].path.type == "PathPrefix"


def _prefix_rule(kind: str, name: str, *, within: str = "") -> Rule:
    """ReplacePrefixMatch needs to know which prefix; `within` "when" or "When" for filters of backendRefs."""
    exists = (
        f"f, has(f.{name}) && has(f.{name}.path) && f.{name}.path.type == 'ReplacePrefixMatch' && "
        f"has(f.{name}.path.replacePrefixMatch)"
    )
    given = f"has(self.filters) && self.filters.exists_one({exists})"
    start = "When"
    if within:
        inner = f"(has(b.filters) && b.filters.exists_one({exists})) "
        given = f"has(self.backendRefs) && self.backendRefs.exists_one(b, {inner})"
        start = f"Within backendRefs, {within}"

    def _holds(rule: Any) -> bool:
        lists = [one.filters for one in rule.backend_refs] if within else [rule.filters]
        asked = any(_prefix_path(one, kind) for filters in lists for one in filters)
        return not asked or _one_prefix(rule)

    return Rule(
        f"({given}) ? ((size(self.matches) != 1 || !has(self.matches[0].path) || "
        "self.matches[0].path.type != 'PathPrefix') ? false : true) : true",
        f"{start} using {kind} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified",
        _holds,
    )


class RouteRule(Ruled):
    """HTTPRouteRule."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(has(self.backendRefs) && size(self.backendRefs) > 0) ? (!has(self.filters) || "
            "self.filters.all(f, !has(f.requestRedirect))): true",
            "RequestRedirect filter must not be used together with backendRefs",
            lambda self: not self.backend_refs or all(one.request_redirect is None for one in self.filters),
        ),
        _prefix_rule("RequestRedirect", "requestRedirect"),
        _prefix_rule("URLRewrite", "urlRewrite"),
        _prefix_rule("RequestRedirect", "requestRedirect", within="when"),
        _prefix_rule("URLRewrite", "urlRewrite", within="When"),
    )

    name: SectionName | None = None
    matches: Annotated[tuple[RouteMatch, ...], Field(max_length=64, json_schema_extra={"default": [_SLASH]})] = (
        RouteMatch(),
    )
    filters: Filters = ()
    backend_refs: Annotated[tuple[BackendRef, ...], Field(max_length=16)] = ()
    timeouts: Timeouts | None = None
    retry: Retry | None = None
    session_persistence: SessionPersistence | None = None


_SIZES = " + ".join(f"(self.size() > {number} ? self[{number}].matches.size() : 0)" for number in range(16))
_RULES = rules_of(_SIZES)


class HTTPRouteSpec(Model):
    """HTTPRouteSpec."""

    parent_refs: ParentRefs = ()
    hostnames: Annotated[tuple[Hostname, ...], Field(max_length=16)] = ()
    rules: Annotated[
        tuple[RouteRule, ...],
        Field(min_length=1, max_length=16, json_schema_extra={"default": [{"matches": [_SLASH]}]}),
        _RULES,
    ] = (RouteRule(),)
    use_default_gateways: Literal["All", "None"] | None = None


class HTTPRoute(Object):
    """An HTTPRoute."""

    spec: HTTPRouteSpec


KINDS = (Kind("gateway.networking.k8s.io", "HTTPRoute", "httproutes", ("v1", "v1beta1"), HTTPRoute),)
