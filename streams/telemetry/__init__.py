"""What a process tells of itself to those who run it: whether it is ready, and how it does; no word of what it does."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.telemetry.health import Health

__all__ = ["Health", "Telemetry"]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Handed to a role, which tells it; what nobody asks for costs nothing."""

    health: Health = field(default_factory=Health)
