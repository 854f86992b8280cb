"""Metrics as Prometheus reads them: the only file that knows its client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from streams.telemetry.metrics import ANSWERS, Kind, Meters, Metric

_BUCKETS = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds, of a stage: the budget of the whole is 0.02 for the half and 0.06 for nearly all."""


class PrometheusMeters(Meters):
    """`common` are labels of every series, such as the role. A metric has series once it was told."""

    def __init__(self, common: Mapping[str, str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._common = dict(common)
        self._registry = CollectorRegistry(auto_describe=False)
        self._known: dict[str, Any] = {}
        ProcessCollector(registry=self._registry)

    def count(self, metric: Metric, *labels: str, amount: int = 1) -> None:
        """See `Meters.count`."""
        self._series(metric, labels).inc(amount)

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """See `Meters.observe`."""
        self._series(metric, labels).observe(max(seconds, 0.0))

    def ask(self, metric: Metric, question: Callable[[], float]) -> None:
        """See `Meters.ask`."""
        self._series(metric, ()).set_function(question)

    def text(self) -> bytes:
        """All of them, in Prometheus's text format."""
        return generate_latest(_Families(self._labelled()))

    def _series(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        found = self._known.get(metric.name)
        if found is None:
            found = self._known[metric.name] = self._made(metric)
        return found.labels(*labels) if labels else found

    def _made(self, metric: Metric) -> Any:
        match metric.kind:
            case Kind.COUNTER:
                return Counter(metric.name, metric.help, metric.labels, registry=self._registry)
            case Kind.GAUGE:
                return Gauge(metric.name, metric.help, metric.labels, registry=self._registry)
            case Kind.HISTOGRAM:
                return Histogram(metric.name, metric.help, metric.labels, registry=self._registry, buckets=_BUCKETS)

    def _labelled(self) -> Iterator[Family]:
        for family in self._registry.collect():
            family.samples = [one._replace(labels={**self._common, **one.labels}) for one in family.samples]
            yield family


class _Families:
    """As the client wants what it writes out."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def merged(texts: Mapping[str, bytes]) -> bytes:
    """The texts of several processes as one, and which of them answer: each family once, as the format wants it."""
    answers = GaugeMetricFamily(ANSWERS.name, ANSWERS.help, labels=ANSWERS.labels)
    families: dict[str, Family] = {}
    for name, text in texts.items():
        answers.add_metric([name], float(bool(text)))
        for family in text_string_to_metric_families(text.decode()):
            samples: list[Sample] = families.setdefault(family.name, family).samples
            if families[family.name] is not family:
                samples += family.samples
    return generate_latest(_Families([answers, *families.values()]))
