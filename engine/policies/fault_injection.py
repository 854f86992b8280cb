"""faultInjection: requests that wait, fail, or are answered slowly, to see what clients make of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from envoy_data_plane.envoy.extensions.filters.common.fault.v3 import (
    FaultDelay,
    FaultRateLimit,
    FaultRateLimitFixedLimit,
)
from envoy_data_plane.envoy.extensions.filters.http.fault.v3 import FaultAbort, HttpFault
from envoy_data_plane.envoy.type.v3 import FractionalPercent

from engine.envoy.effect import Effect, of_filter, switched
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.duration import milliseconds
from engine.policies.feature import Feature, Filter, Stage, Use, is_off
from engine.resolve.manifest import mapping

NAME: Final = "envoy.filters.http.fault"
_TYPE: Final = "envoy.extensions.filters.http.fault.v3.HTTPFault"


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


FEATURE = Feature("faultInjection", effect, (Filter(NAME, _TYPE, construct(HttpFault), Stage.FAULT),))
