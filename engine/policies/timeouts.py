"""timeouts: how long a request may take as a whole, and how long its stream may stand still."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import Field

from engine.envoy.effect import Effect
from engine.graph.reader import Json, Reader
from engine.models.base import Model
from engine.models.duration import milliseconds
from engine.models.texts import Duration
from engine.policies.feature import Feature, Use

_FIELDS: Final = (("request", "timeout"), ("streamIdle", "idle_timeout"))


class Timeouts(Model):
    """Bounds of a request; 0s is none."""

    request: Annotated[Duration, Field(description="Of a whole request, with all tries.")] | None = None
    stream_idle: Annotated[Duration, Field(description="Without a byte in either direction.")] | None = None


def effect(graph: Reader, use: Use, value: Json) -> Effect:  # noqa: ARG001  a feature's signature
    """Fields of RouteAction."""
    action: list[tuple[str, Any]] = [
        (field, timedelta(milliseconds=bound))
        for name, field in _FIELDS
        if (bound := milliseconds(value.get(name))) is not None
    ]
    return Effect(action=tuple(action))


FEATURE = Feature("timeouts", Timeouts, effect, inherited=True)
