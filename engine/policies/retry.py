"""retry: requests that fail are tried again, once more or several times."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from envoy_data_plane.envoy.config.route.v3 import RetryPolicy, RetryPolicyRetryBackOff

from engine.envoy.effect import Effect
from engine.envoy.wire import construct
from engine.graph.reader import Json, Reader
from engine.models.duration import milliseconds
from engine.policies.feature import Feature, Use
from engine.resolve.manifest import texts

_CODES: Final = "retriable-status-codes"
_BACKOFF: Final = "25ms"


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """RouteAction.retry_policy."""
    codes = [int(one) for one in value.get("statusCodes") or ()]
    conditions = [*texts(value.get("retryOn")), *([_CODES] if codes else [])]
    bound = milliseconds(value.get("perTryTimeout"))
    base = milliseconds(value.get("backoffBaseInterval") or _BACKOFF)
    attempts = value.get("attempts")
    policy = construct(
        RetryPolicy,
        retry_on=",".join(dict.fromkeys(conditions)),
        num_retries=1 if attempts is None else int(attempts),
        per_try_timeout=None if bound is None else timedelta(milliseconds=bound),
        retriable_status_codes=codes,
        retry_back_off=construct(RetryPolicyRetryBackOff, base_interval=timedelta(milliseconds=base or 0)),
    )
    return Effect(action=(("retry_policy", policy),))


FEATURE = Feature(
    "retry",
    effect,
    inherited=True,
)
