"""Instants as the log writes them: RFC 3339 in UTC with milliseconds, text that sorts by time. It reads no clock."""

from __future__ import annotations

from datetime import UTC, datetime


def written(at: datetime) -> str:
    """An instant with a zone as text. Raises OverflowError at the ends of the calendar."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
