"""timeouts: how long a request may take as a whole, and how long its stream may stand still."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.models.base import Model
from engine.models.texts import Duration
from engine.models.traffic_block import TrafficBlock


class Timeouts(Model):
    """Bounds of a request; 0s is none."""

    request: Annotated[Duration, Field(description="Of a whole request, with all tries.")] | None = None
    stream_idle: Annotated[Duration, Field(description="Without a byte in either direction.")] | None = None


BLOCK = TrafficBlock("timeouts", Timeouts)
