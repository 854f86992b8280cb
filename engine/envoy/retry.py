"""Retries as Envoy says them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from envoy_data_plane.envoy.config.route.v3 import RetryPolicy, RetryPolicyRetryBackOff

from engine.envoy.wire import construct
from engine.resolve.values import Retry, Timeouts

_LONGEST: Final = timedelta(days=36_500)
"""Of a pause between tries: Envoy rejects what is beyond 2^63 ns, 292 years; the longest that the API knows has 45."""


def retry_policy(retry: Retry, timeouts: Timeouts) -> RetryPolicy:
    """When a request is tried again, and how long each try may take."""
    values: dict[str, Any] = {}
    if timeouts.backend_request:
        values["per_try_timeout"] = _millis(timeouts.backend_request)
    if retry.backoff:
        values["retry_back_off"] = _backoff(_millis(retry.backoff))
    # HTTPRouteRetry: failed connections and tries that take too long ("reset" to Envoy) count whatever the codes.
    conditions = "connect-failure,refused-stream,reset,unavailable,cancelled"
    return construct(
        RetryPolicy,
        retry_on=f"{conditions},retriable-status-codes" if retry.codes else conditions,
        num_retries=retry.attempts,
        retriable_status_codes=list(retry.codes),
        **values,
    )


def _backoff(wanted: timedelta) -> RetryPolicyRetryBackOff:
    """Envoy waits for anything between 0 and an interval that doubles with each retry: it knows no minimum.

    Of twice what is wanted the half is what is wanted: that long the first wait is on average (HTTPRouteRetry.backoff
    wants "approximately" that, and never less). Measured by tests/benchmarks/backoff.py.
    """
    base, longest = (min(wanted * times, _LONGEST) for times in (2, 10))
    return construct(RetryPolicyRetryBackOff, base_interval=base, max_interval=longest)


def _millis(value: int) -> timedelta:
    return timedelta(milliseconds=value)
