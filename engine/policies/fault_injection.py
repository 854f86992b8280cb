"""faultInjection: requests that wait, fail, or are answered slowly, to see what clients make of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final

from envoy_data_plane.envoy.extensions.filters.common.fault.v3 import (
    FaultDelay,
    FaultRateLimit,
    FaultRateLimitFixedLimit,
)
from envoy_data_plane.envoy.extensions.filters.http.fault.v3 import FaultAbort, HttpFault
from envoy_data_plane.envoy.type.v3 import FractionalPercent
from pydantic import Field

from engine.envoy.effect import Effect, of_filter, switched
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.base import Model
from engine.models.duration import milliseconds
from engine.models.policy import PolicyDisable
from engine.models.rules import Rule, Ruled, Rules, at_least_one, exactly_one
from engine.models.texts import INT32, Duration
from engine.policies.feature import Feature, Filter, Stage, Use, is_off
from engine.resolve.manifest import mapping

NAME: Final = "envoy.filters.http.fault"
_TYPE: Final = "envoy.extensions.filters.http.fault.v3.HTTPFault"
_INT32: Final = {"format": "int32"}
_HOUR: Final = 3_600_000
"""Milliseconds."""
_Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra=_INT32, description="Of requests.")]
_DELAY: Final = Rules(
    (
        Rule(
            "duration(self) >= duration('1ms') && duration(self) <= duration('1h')",
            "fixedDelay must be at least 1ms and at most 1h",
            lambda self: 1 <= (milliseconds(self) or 0) <= _HOUR,
        ),
    )
)


class Delay(Model):
    """FaultDelay."""

    fixed_delay: Annotated[Duration, _DELAY]
    percentage: _Percent = 100


class Abort(Ruled):
    """FaultAbort."""

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one(("httpStatus", "http_status"), ("grpcStatus", "grpc_status")),)

    http_status: Annotated[int, Field(ge=200, le=599, json_schema_extra=_INT32)] | None = None
    grpc_status: Annotated[int, Field(ge=0, le=16, json_schema_extra=_INT32)] | None = None
    percentage: _Percent = 100


class ResponseRateLimit(Model):
    """FaultResponseRateLimit."""

    kbits_per_second: Annotated[int, Field(ge=1, le=INT32)]
    percentage: _Percent = 100


class FaultInjection(Ruled):
    """FaultInjectionPolicy."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        at_least_one(
            ("delay", "delay"),
            ("abort", "abort"),
            ("responseRateLimit", "response_rate_limit"),
            ("disable", "disable"),
        ),
    )

    delay: Annotated[Delay, Field(description="Before the backend is asked.")] | None = None
    abort: Annotated[Abort, Field(description="Instead of asking the backend.")] | None = None
    response_rate_limit: Annotated[ResponseRateLimit, Field(description="Of an answer's body.")] | None = None
    max_active_faults: (
        Annotated[int, Field(ge=0, le=INT32, json_schema_extra=_INT32, description="At once; no more are begun.")]
        | None
    ) = None
    disable: PolicyDisable | None = None


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """HTTPFault."""
    if is_off(value):
        return switched(NAME, off=True)
    most = value.get("maxActiveFaults")
    fault = construct(
        HttpFault,
        delay=_delay(mapping(value.get("delay"))),
        abort=_abort(mapping(value.get("abort"))),
        response_rate_limit=_limit(mapping(value.get("responseRateLimit"))),
        max_active_faults=None if most is None else int(most),
    )
    return of_filter(NAME, _TYPE, fault)


def _delay(asked: Json) -> FaultDelay | None:
    if not asked:
        return None
    delay = timedelta(milliseconds=milliseconds(asked.get("fixedDelay")) or 0)
    return construct(FaultDelay, fixed_delay=delay, percentage=_percentage(asked))


def _abort(asked: Json) -> FaultAbort | None:
    if not asked:
        return None
    names = (("httpStatus", "http_status"), ("grpcStatus", "grpc_status"))
    status: dict[str, Any] = {field: int(asked[name]) for name, field in names if asked.get(name) is not None}
    return construct(FaultAbort, **status, percentage=_percentage(asked))


def _limit(asked: Json) -> FaultRateLimit | None:
    if not asked:
        return None
    fixed = construct(FaultRateLimitFixedLimit, limit_kbps=int(asked["kbitsPerSecond"]))
    return construct(FaultRateLimit, fixed_limit=fixed, percentage=_percentage(asked))


def _percentage(asked: Json) -> FractionalPercent:
    wanted = asked.get("percentage")
    return construct(FractionalPercent, numerator=100 if wanted is None else int(wanted))


FEATURE = Feature("faultInjection", FaultInjection, effect, (Filter(NAME, _TYPE, construct(HttpFault), Stage.FAULT),))
