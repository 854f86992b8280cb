"""`perConnectionBufferLimitBytes`: how much of a connection is kept in memory (a soft limit)."""

from __future__ import annotations

from typing import Final

from engine.envoy.shape import Shape
from engine.policies.backend_config.feature import Feature, Use


def _shape(written: int, _: Use) -> Shape:
    return Shape({"per_connection_buffer_limit_bytes": written})


FEATURE: Final = Feature("perConnectionBufferLimitBytes", _shape)
