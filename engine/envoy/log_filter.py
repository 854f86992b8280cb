"""Which requests an access log or a mapper of local replies is for, as kgateway's filters say (AccessLogFilter)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from betterproto2 import Message
from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    DurationFilter,
    ExtensionFilter,
    GrpcStatusFilter,
    GrpcStatusFilterStatus,
    HeaderFilter,
    NotHealthCheckFilter,
    OrFilter,
    ResponseFlagFilter,
    RuntimeFilter,
    StatusCodeFilter,
    TraceableFilter,
)
from envoy_data_plane.envoy.config.core.v3 import RuntimeUInt32
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import FractionalPercent, FractionalPercentDenominatorType

from engine.envoy.typed import packed
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.resolve.manifest import items, mapping, texts

_CEL: Final = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
_KEY: Final = "penstock.log_filter"
"""Envoy wants the name of a runtime value that may change a comparison; nobody sets this one."""


def log_filter(block: Json) -> AccessLogFilter | None:
    """The filter of a block, which has one; None for none, which lets all through."""
    for name, value in block.items():
        if name in ("andFilter", "orFilter"):
            parts = [one for one in (log_filter(part) for part in items(value)) if one is not None]
            both = {"and_filter": AndFilter} if name == "andFilter" else {"or_filter": OrFilter}
            return construct(AccessLogFilter, **{field: construct(cls, filters=parts) for field, cls in both.items()})
        if name in _MADE and value:
            field, make = _MADE[name]
            return construct(AccessLogFilter, **{field: make(value)})
    return None


def _comparison(value: Json) -> ComparisonFilter:
    number = construct(RuntimeUInt32, default_value=int(value.get("value", 0)), runtime_key=_KEY)
    return construct(ComparisonFilter, op=ComparisonFilterOp[str(value.get("op"))], value=number)


def _header(match: Json) -> HeaderMatcher:
    value = str(match.get("value"))
    is_regex = match.get("type") == "RegularExpression"
    wanted = {"safe_regex": construct(RegexMatcher, regex=value)} if is_regex else {"exact": value}
    return construct(HeaderMatcher, name=str(match.get("name")), string_match=construct(StringMatcher, **wanted))


def _runtime(value: Json) -> RuntimeFilter:
    percent = mapping(value.get("percentSampled"))
    kind = FractionalPercentDenominatorType[str(percent.get("denominator") or "HUNDRED")]
    return construct(
        RuntimeFilter,
        runtime_key=str(value.get("runtimeKey")),
        percent_sampled=construct(FractionalPercent, numerator=int(percent.get("numerator") or 0), denominator=kind)
        if percent
        else None,
        use_independent_randomness=bool(value.get("useIndependentRandomness")),
    )


def _status(value: Json) -> GrpcStatusFilter:
    statuses = [GrpcStatusFilterStatus[one] for one in texts(value.get("statuses"))]
    return construct(GrpcStatusFilter, statuses=statuses, exclude=bool(value.get("exclude")))


def _cel(value: Json) -> ExtensionFilter:
    config = packed(_CEL, construct(ExpressionFilter, expression=str(value.get("match"))))
    return construct(ExtensionFilter, name="envoy.access_loggers.extension_filters.cel", typed_config=config)


_MADE: Final[dict[str, tuple[str, Callable[[Any], Message]]]] = {
    "statusCodeFilter": ("status_code_filter", lambda one: construct(StatusCodeFilter, comparison=_comparison(one))),
    "durationFilter": ("duration_filter", lambda one: construct(DurationFilter, comparison=_comparison(one))),
    "notHealthCheckFilter": ("not_health_check_filter", lambda _: construct(NotHealthCheckFilter)),
    "traceableFilter": ("traceable_filter", lambda _: construct(TraceableFilter)),
    "headerFilter": ("header_filter", lambda one: construct(HeaderFilter, header=_header(mapping(one.get("header"))))),
    "responseFlagFilter": (
        "response_flag_filter",
        lambda one: construct(ResponseFlagFilter, flags=list(texts(one.get("flags")))),
    ),
    "grpcStatusFilter": ("grpc_status_filter", _status),
    "celFilter": ("extension_filter", _cel),
    "runtimeFilter": ("runtime_filter", _runtime),
}
"""kgateway's filter -> Envoy's, and how it is made."""
