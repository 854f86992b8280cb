"""`outlierDetection`: hosts whose answers are errors get nothing for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from envoy_data_plane.envoy.config.cluster.v3 import OutlierDetection

from engine.envoy.shape import Shape
from engine.envoy.wire import construct
from engine.graph.reader import Json
from engine.policies.backend_config.feature import Feature, Use, given, span

_ERRORS: Final = 5
_INTERVAL: Final = timedelta(seconds=10)
_EJECTION: Final = timedelta(seconds=30)
_PERCENT: Final = 10


def _shape(block: Json, _: Use) -> Shape:
    detection = construct(
        OutlierDetection,
        consecutive_5xx=block.get("consecutive5xx", _ERRORS),
        interval=span(block, "interval") or _INTERVAL,
        base_ejection_time=span(block, "baseEjectionTime") or _EJECTION,
        max_ejection_percent=block.get("maxEjectionPercent", _PERCENT),
        **given(
            enforcing_consecutive_5xx=block.get("enforcingConsecutive5xx"),
            split_external_local_origin_errors=block.get("splitExternalLocalOriginErrors"),
            consecutive_local_origin_failure=block.get("consecutiveLocalOriginFailure"),
            enforcing_consecutive_local_origin_failure=block.get("enforcingConsecutiveLocalOriginFailure"),
        ),
    )
    return Shape({"outlier_detection": detection})


FEATURE: Final = Feature("outlierDetection", _shape)
