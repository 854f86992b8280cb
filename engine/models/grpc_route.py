"""GRPCRoute (gateway.networking.k8s.io/v1, experimental channel of v1.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from engine.models.base import Model, Object
from engine.models.http_filters import BLOCKS, HeaderFilter, MirrorFilter, block_rules, not_repeated
from engine.models.kind import Kind
from engine.models.references import LocalObjectReference, WeightedBackendRef
from engine.models.route import ParentRefs, UseDefaultGateways, rules_of
from engine.models.rules import ListMap, Rule, Ruled, Rules
from engine.models.session_persistence import SessionPersistence
from engine.models.texts import HeaderName, Hostname, SectionName, has_control_characters, regex_problems

_SERVICE: Final = r"^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$"
_METHOD: Final = "^[A-Za-z_][A-Za-z_0-9]*$"
# Python wants its flags first.
_IS_SERVICE = re.compile(r"\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*", re.IGNORECASE | re.ASCII)
_IS_METHOD = re.compile("[A-Za-z_][A-Za-z_0-9]*")
_TYPES: Final = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef")


def _name_rule(name: str, text: str, pattern: re.Pattern[str]) -> Rule:
    return Rule(
        f'(!has(self.type) || self.type == \'Exact\') && has(self.{name}) ? self.{name}.matches(r"""{text}"""): true',
        f"{name} must only contain valid characters (matching {text})",
        lambda self: (
            self.type != "Exact" or getattr(self, name) is None or pattern.fullmatch(getattr(self, name)) is not None
        ),
    )


def method_pattern(service: str, method: str) -> str:
    """The regular expression of a call's path; "" is any service or method."""
    return "/" + "/".join(f"(?:{one})" if one else "[^/]+" for one in (service, method))


class MethodMatch(Ruled):
    """GRPCMethodMatch."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.type) ? has(self.service) || has(self.method) : true",
            "One or both of 'service' or 'method' must be specified",
            lambda self: self.service is not None or self.method is not None,
        ),
        _name_rule("service", _SERVICE, _IS_SERVICE),
        _name_rule("method", _METHOD, _IS_METHOD),
    )

    type: Literal["Exact", "RegularExpression"] = "Exact"
    service: Annotated[str, Field(max_length=1024)] | None = None
    method: Annotated[str, Field(max_length=1024)] | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy rejects the whole route configuration for a regular expression that RE2 does not take."""
        if self.type == "RegularExpression":
            service, method = self.service or "", self.method or ""
            found = (*regex_problems(service, "service"), *regex_problems(method, "method"))
            yield from found or regex_problems(method_pattern(service, method), "")


class HeaderMatch(Ruled):
    """GRPCHeaderMatch."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: Annotated[str, Field(min_length=1, max_length=4096)]

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """As for a method; and no header has control characters in it."""
        if self.type == "RegularExpression":
            return regex_problems(self.value)
        return (("value", "cannot contain control characters"),) if has_control_characters(self.value) else ()


class RouteMatch(Model):
    """GRPCRouteMatch."""

    method: MethodMatch | None = None
    headers: Annotated[tuple[HeaderMatch, ...], Field(max_length=16), ListMap("name")] = ()


class Filter(Ruled):
    """GRPCRouteFilter."""

    RULES: ClassVar[tuple[Rule, ...]] = tuple(rule for kind in _TYPES for rule in block_rules(kind, *BLOCKS[kind]))

    type: Literal["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"]
    request_header_modifier: HeaderFilter | None = None
    response_header_modifier: HeaderFilter | None = None
    request_mirror: MirrorFilter | None = None
    extension_ref: LocalObjectReference | None = None


_FILTERS = Rules(tuple(not_repeated(kind) for kind in ("RequestHeaderModifier", "ResponseHeaderModifier")))
Filters = Annotated[tuple[Filter, ...], Field(max_length=16), _FILTERS]


class BackendRef(WeightedBackendRef):
    """GRPCBackendRef."""

    filters: Filters = ()


class RouteRule(Model):
    """GRPCRouteRule."""

    name: SectionName | None = None
    matches: Annotated[tuple[RouteMatch, ...], Field(max_length=64)] = ()
    filters: Filters = ()
    backend_refs: Annotated[tuple[BackendRef, ...], Field(max_length=16)] = ()
    session_persistence: SessionPersistence | None = None


_SIZES = " + ".join(
    f"(self.size() > {number} ? (has(self[{number}].matches) ? self[{number}].matches.size() : 0) : 0)"
    for number in range(16)
)
_RULES = rules_of(_SIZES)


class GRPCRouteSpec(Model):
    """GRPCRouteSpec."""

    parent_refs: ParentRefs = ()
    hostnames: Annotated[tuple[Hostname, ...], Field(max_length=16)] = ()
    rules: Annotated[tuple[RouteRule, ...], Field(max_length=16), _RULES] = ()
    use_default_gateways: UseDefaultGateways = None


class GRPCRoute(Object):
    """A GRPCRoute."""

    spec: GRPCRouteSpec


KINDS = (Kind("gateway.networking.k8s.io", "GRPCRoute", "grpcroutes", ("v1",), GRPCRoute),)
