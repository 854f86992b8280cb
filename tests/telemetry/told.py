"""Meters that a test reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from streams.telemetry.metrics import Meters, Metric


class Told(Meters):
    """What was counted and observed, by name and labels."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.seconds: dict[tuple[str, ...], list[float]] = {}
        self.questions: dict[str, Callable[[], float]] = {}

    def count(self, metric: Metric, *labels: str, amount: int = 1) -> None:
        self.counts[metric.name, *labels] += amount

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        self.seconds.setdefault((metric.name, *labels), []).append(seconds)

    def ask(self, metric: Metric, question: Callable[[], float]) -> None:
        self.questions[metric.name] = question
