"""retry: requests that fail are tried again, once more or several times."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from engine.models.duration import milliseconds
from engine.models.rules import Rule, Ruled
from engine.models.texts import INT32, Duration
from engine.models.traffic_block import TrafficBlock

_BACKOFF: Final = "25ms"
_Condition = Literal[
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
]


_Code = Annotated[int, Field(ge=400, le=599)]


class Retry(Ruled):
    """What counts as a failure, and how often and how soon it is tried again."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.retryOn) || has(self.statusCodes)",
            "retryOn or statusCodes must be set",
            lambda self: self.retry_on is not None or self.status_codes is not None,
        ),
    )

    retry_on: Annotated[tuple[_Condition, ...], Field(min_length=1, description="Envoy's conditions.")] | None = None
    attempts: Annotated[
        int, Field(ge=0, le=INT32, json_schema_extra={"format": "int32"}, description="Beyond the first.")
    ] = 1
    per_try_timeout: Annotated[Duration, Field(description="Of each try.")] | None = None
    status_codes: Annotated[tuple[_Code, ...], Field(min_length=1, description="Of failed answers.")] | None = None
    backoff_base_interval: Annotated[
        Duration, Field(description="Before the first retry up to this long, twice that before the next, and so on.")
    ] = _BACKOFF

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """Envoy takes no pause of nothing."""
        if milliseconds(self.backoff_base_interval):
            return ()
        return (("backoffBaseInterval", "must be longer than 0s: leave it out for 25ms"),)


def _fits(spec: Any) -> bool:
    retry, timeouts = spec.retry, spec.timeouts
    if retry is None or timeouts is None or retry.per_try_timeout is None or timeouts.request is None:
        return True
    return (milliseconds(retry.per_try_timeout) or 0) < (milliseconds(timeouts.request) or 0)


BLOCK = TrafficBlock(
    "retry",
    Retry,
    (
        Rule(
            "has(self.retry) && has(self.timeouts) && has(self.retry.perTryTimeout) && has(self.timeouts.request) ? "
            "duration(self.retry.perTryTimeout) < duration(self.timeouts.request) : true",
            "retry.perTryTimeout must be less than timeouts.request",
            _fits,
        ),
    ),
)
