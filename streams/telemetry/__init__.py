"""What a process tells of itself to those who run it: whether it is ready, and how it does; no word of what it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from streams.telemetry.health import Health
from streams.telemetry.metrics import Meters
from streams.telemetry.traces import Traces

__all__ = ["Health", "Meters", "Telemetry", "Traces"]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Handed to a role, which tells it; what nobody asks for costs nothing.

    `time` answers seconds since 1970, to be compared with those of records.
    """

    health: Health = field(default_factory=Health)
    meters: Meters = field(default_factory=Meters)
    traces: Traces = field(default_factory=Traces)
    time: Callable[[], float] = time.time
