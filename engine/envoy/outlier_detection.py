"""Outlier detection of hosts that cannot be reached: they are out, so that those of the next priority are asked."""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.cluster.v3 import OutlierDetection

from engine.envoy.shape import Shape
from engine.envoy.wire import construct

_FAILURES: Final = 3
"""In a row, of connections that could not be had or broke: a host's own answers, 500 too, say that it is there."""


def watched() -> Shape:
    """Of a group that is all out none is left: so any share of the hosts may be out."""
    watch = construct(
        OutlierDetection,
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=_FAILURES,
        max_ejection_percent=100,
        enforcing_consecutive_5xx=0,
        enforcing_consecutive_gateway_failure=0,
        enforcing_success_rate=0,
        enforcing_local_origin_success_rate=0,
    )
    return Shape({"outlier_detection": watch})
