"""What Prometheus is told, judged by its own parser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.telemetry.metrics import ACTIVE, METRICS, NACKS, RESOLVED, STAGE, STATUS_WRITES, Kind
from streams.telemetry.prometheus import PrometheusMeters, merged

_SOURCES = Path(__file__).parents[2] / "streams"


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """By name and labels; a series that stands twice is none that Prometheus takes."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for one in family.samples:
            key = (one.name, frozenset(one.labels.items()))
            assert key not in found, key
            found[key] = one.value
    return found


def of(text: bytes, name: str, **labels: str) -> float:
    return samples(text)[name, frozenset(labels.items())]


def test_what_is_counted_has_the_labels_of_its_process() -> None:
    meters = PrometheusMeters({"role": "publish"})
    meters.count(NACKS, "Cluster", amount=2)
    meters.count(RESOLVED)
    meters.observe(STAGE, 0.03, "publish")
    meters.observe(STAGE, -0.5, "publish")
    said = [3.0]
    meters.ask(ACTIVE, lambda: said[0])
    text = meters.text()
    assert of(text, "penstock_nacks_total", role="publish", type="Cluster") == 2
    assert of(text, "penstock_changes_resolved_total", role="publish") == 1
    assert of(text, "penstock_stage_seconds_count", role="publish", stage="publish") == 2
    assert of(text, "penstock_stage_seconds_sum", role="publish", stage="publish") == pytest.approx(0.03)
    assert of(text, "penstock_active", role="publish") == 3
    said[0] = 0.0
    assert of(meters.text(), "penstock_active", role="publish") == 0
    assert not [key for key in samples(text) if key[0].endswith("_created")]
    assert of(text, "process_resident_memory_bytes", role="publish") > 0
    assert not [key for key in samples(text) if key[0].startswith("penstock_status")], "nothing was written"


def test_several_processes_are_one_text() -> None:
    texts = {}
    for number, cluster in enumerate(("east", "west")):
        meters = PrometheusMeters({"role": "write-status", "cluster": cluster})
        meters.count(STATUS_WRITES, amount=number + 1)
        meters.observe(STAGE, 0.03, "publish")
        texts[f"write-status-{cluster}"] = meters.text()
    text = merged({**texts, "resolve": b""})
    assert of(text, "penstock_status_writes_total", role="write-status", cluster="west") == 2
    assert of(text, "penstock_process_answers", process="resolve") == 0
    assert of(text, "penstock_process_answers", process="write-status-east") == 1
    families = re.findall(r"^# TYPE (\S+)", text.decode(), re.MULTILINE)
    assert sorted(families) == sorted(set(families))
    assert len([key for key in samples(text) if key[0] == "process_resident_memory_bytes"]) == 2


def test_names_are_as_prometheus_wants_them() -> None:
    names = [one.name for one in METRICS]
    assert len(set(names)) == len(names)
    for one in METRICS:
        assert re.fullmatch(r"penstock_[a-z_]+", one.name)
        assert one.name.endswith("_total") == (one.kind is Kind.COUNTER)
        assert one.name.endswith("_seconds") == (one.kind is Kind.HISTOGRAM)
        assert one.roles
        assert one.help.endswith(".")


def test_every_metric_is_told_somewhere() -> None:
    """One that nobody tells would stand in the reference, and in dashboards, for ever empty."""
    spec = _SOURCES / "telemetry" / "metrics.py"
    constants = re.findall(r"^([A-Z_]+) = Metric\(", spec.read_text(), re.MULTILINE)
    rest = "\n".join(path.read_text() for path in _SOURCES.rglob("*.py") if path != spec)
    assert [one for one in constants if not re.search(rf"(count|observe|ask)\(\s*(\w+ if )?.*\b{one}\b|{one}\.name", rest)] == []
    assert len(constants) == len(METRICS)
