"""`connectTimeout`: how long a connection to a host may take to come about."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from engine.envoy.shape import Shape
from engine.models.duration import milliseconds
from engine.policies.backend_config.feature import Feature, Use


def _shape(written: object, _: Use) -> Shape:
    return Shape({"connect_timeout": timedelta(milliseconds=milliseconds(written) or 0)})


FEATURE: Final = Feature("connectTimeout", _shape)
