"""timeouts: how long a request may take as a whole, and how long its stream may stand still."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from engine.envoy.effect import Effect
from engine.graph.reader import Json, Reader
from engine.models.duration import milliseconds
from engine.policies.feature import Feature, Use

_FIELDS: Final = (("request", "timeout"), ("streamIdle", "idle_timeout"))


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """Fields of RouteAction."""
    action: list[tuple[str, Any]] = [
        (field, timedelta(milliseconds=bound))
        for name, field in _FIELDS
        if (bound := milliseconds(value.get(name))) is not None
    ]
    return Effect(action=tuple(action))


FEATURE = Feature("timeouts", effect, inherited=True)
