"""Durations, as queries read them."""

from __future__ import annotations

from engine.models.duration import milliseconds

__all__ = ["milliseconds"]
