"""The wall clock, where a source, a report or a Tick needs it; nothing of the engine's reads it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Now as RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_of(time: str) -> float:
    """An RFC 3339 time as seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()


def seconds_until(time: str) -> float:
    """Seconds until an RFC 3339 time, negative when it has passed."""
    return (datetime.fromisoformat(time) - datetime.now(UTC)).total_seconds()
