"""faultInjection: requests that wait, fail, or are answered slowly, to see what clients make of it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from engine.models.base import Model
from engine.models.duration import milliseconds
from engine.models.policy import PolicyDisable
from engine.models.rules import Rule, Ruled, Rules, at_least_one, exactly_one
from engine.models.texts import INT32, Duration
from engine.models.traffic_block import TrafficBlock

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


BLOCK = TrafficBlock("faultInjection", FaultInjection)
