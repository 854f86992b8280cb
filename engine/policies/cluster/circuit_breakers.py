"""`circuitBreakers`: how much may be under way to a backend at once (Envoy's thresholds of default priority)."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    CircuitBreakersThresholdsRetryBudget,
)
from envoy_data_plane.envoy.type.v3 import Percent

from engine.envoy.cluster import RETRIES
from engine.envoy.shape import Shape
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use, given, span


def _shape(block: Json, _: Use) -> Shape:
    budget, retries = block.get("retryBudget"), block.get("maxRetries")
    threshold = construct(
        CircuitBreakersThresholds,
        **given(
            max_connections=block.get("maxConnections"),
            max_pending_requests=block.get("maxPendingRequests"),
            max_requests=block.get("maxRequests"),
            max_retries=retries if retries is not None or budget is not None else RETRIES,
            retry_budget=_budget(budget) if budget is not None else None,
            track_remaining=block.get("trackRemaining"),
        ),
    )
    return Shape({"circuit_breakers": construct(CircuitBreakers, thresholds=[threshold])})


def _budget(block: Json) -> CircuitBreakersThresholdsRetryBudget:
    percent = block.get("budgetPercent")
    return construct(
        CircuitBreakersThresholdsRetryBudget,
        **given(
            budget_percent=construct(Percent, value=float(percent)) if percent is not None else None,
            budget_interval=span(block, "budgetInterval"),
            min_retry_concurrency=block.get("minRetryConcurrency"),
        ),
    )


FEATURE: Final = Feature("circuitBreakers", _shape)
