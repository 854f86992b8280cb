"""Which requests an access log, or a mapper of local replies, is for (AccessLogFilter of kgateway)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from engine.models.base import Model
from engine.models.cel import condition_problem
from engine.models.rules import Rule, Ruled
from engine.models.texts import HeaderName, regex_problems

_ONE: Final[JsonDict] = {"minProperties": 1, "maxProperties": 1}
_Uint32 = Annotated[int, Field(ge=0, le=2**32 - 1, json_schema_extra={"format": "int64"})]
Operator = Literal["EQ", "GE", "LE", "NE"]
Flag = Literal[
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI", "IH",
    "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR", "UDO",
]  # fmt: skip
"""Response flags of Envoy 1.40 (ResponseFlagFilter.flags)."""
Status = Literal[
    "OK", "CANCELED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
]  # fmt: skip
"""Names of gRPC statuses, in the order of their numbers."""


class Comparison(Model):
    """ComparisonFilter."""

    op: Operator
    value: _Uint32


class HeaderMatch(Ruled):
    """HTTPHeaderMatch."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: Annotated[str, Field(min_length=1, max_length=4096)]

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """Envoy rejects a listener for an expression that it does not take."""
        return regex_problems(self.value) if self.type == "RegularExpression" else ()


class HeaderFilter(Model):
    """HeaderFilter."""

    header: HeaderMatch


class FlagFilter(Model):
    """ResponseFlagFilter."""

    flags: Annotated[tuple[Flag, ...], Field(min_length=1)]


class StatusFilter(Model):
    """GrpcStatusFilter."""

    statuses: Annotated[tuple[Status, ...], Field(min_length=1)]
    exclude: bool | None = None


class CelFilter(Ruled):
    """CELFilter."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    match: Annotated[str, Field(min_length=1)]

    def beyond(self) -> Iterator[tuple[str, str]]:
        """Envoy compiles it before it takes the listener."""
        problem = condition_problem(self.match)
        if problem is not None:
            yield "match", problem


class Percent(Model):
    """FractionalPercent."""

    numerator: _Uint32 = 0
    denominator: Literal["HUNDRED", "TEN_THOUSAND", "MILLION"] = "HUNDRED"


class RuntimeFilter(Model):
    """RuntimeFilter: a share of the requests, which a key of the proxy's runtime may change."""

    runtime_key: Annotated[str, Field(min_length=1)]
    percent_sampled: Percent | None = None
    use_independent_randomness: bool | None = None


def _chosen(block: Any) -> list[str]:
    return [name for name in type(block).model_fields if getattr(block, name) is not None]


class OneFilter(Ruled):
    """FilterType: one way to choose requests."""

    model_config = ConfigDict(json_schema_extra=_ONE)
    RULES: ClassVar[tuple[Rule, ...]] = ()

    status_code_filter: Comparison | None = None
    duration_filter: Comparison | None = None
    not_health_check_filter: bool | None = None
    traceable_filter: bool | None = None
    header_filter: HeaderFilter | None = None
    response_flag_filter: FlagFilter | None = None
    grpc_status_filter: StatusFilter | None = None
    cel_filter: CelFilter | None = None
    runtime_filter: RuntimeFilter | None = None

    def beyond(self) -> Iterator[tuple[str, str]]:
        """What a schema says by numbers of properties; and false would choose nothing."""
        if len(_chosen(self)) != 1:
            yield "", "must have exactly one filter"
        for name, value in (
            ("notHealthCheckFilter", self.not_health_check_filter), ("traceableFilter", self.traceable_filter)
        ):  # fmt: skip
            if value is False:
                yield name, "must be true: leave it out otherwise"


class LogFilter(OneFilter):
    """AccessLogFilter: one filter, all of several, or any of them."""

    and_filter: Annotated[tuple[OneFilter, ...], Field(min_length=2)] | None = None
    or_filter: Annotated[tuple[OneFilter, ...], Field(min_length=2)] | None = None
