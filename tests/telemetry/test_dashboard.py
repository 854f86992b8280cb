"""The dashboard asks for metrics that there are, by labels that they have; and the chart brings the same one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streams.telemetry.metrics import METRICS, STAGE, Kind, Metric
from streams.telemetry.prometheus import PrometheusMeters
from tests.telemetry.test_metrics import samples

_DEPLOY = Path(__file__).parents[2] / "deploy"
_PATH = _DEPLOY / "grafana" / "penstock.json"
_COMMON = {"job", "instance", "role", "cluster", "le"}
"""Labels that every series has, of ours or of Prometheus, and a histogram's."""
_NAME = re.compile(r"\b((?:penstock|process)_[a-z_]+)\b")
_BY = re.compile(r"\bby \(([^)]*)\)")
_SELECTOR = re.compile(r"\{([^}]*)\}")


def _panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_PATH.read_text())["panels"]
    return [one for one in found if one["type"] != "row"]


def _targets() -> Iterator[tuple[str, str, str]]:
    """Title, expression and legend."""
    for panel in _panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


def _known() -> dict[str, Metric]:
    """By the names of their series."""
    known = {}
    for one in METRICS:
        suffixes = ("_bucket", "_sum", "_count") if one.kind is Kind.HISTOGRAM else ("",)
        known |= {f"{one.name}{suffix}": one for suffix in suffixes}
    return known


def test_every_metric_that_is_asked_for_exists() -> None:
    meters = PrometheusMeters({})
    process = {name for name, _ in samples(meters.text())}
    known = _known()
    for title, expression, _ in _targets():
        names = _NAME.findall(expression)
        assert names, title
        assert [one for one in names if one not in known and one not in process] == [], title


def test_every_label_that_is_asked_for_is_one_of_the_metric() -> None:
    known = _known()
    for title, expression, legend in _targets():
        labels = set(_COMMON)
        for name in _NAME.findall(expression):
            labels |= set(known[name].labels) if name in known else set()
        asked = {one.strip() for some in _BY.findall(expression) for one in some.split(",")}
        asked |= {re.split(r"[=!]", one)[0].strip() for some in _SELECTOR.findall(expression) for one in some.split(",")}
        asked |= set(re.findall(r"\{\{(\w+)\}\}", legend))
        assert asked <= labels, f"{title}: {asked - labels}"


def test_every_metric_is_shown() -> None:
    known = _known()
    shown = {known[name].name for _, expression, _ in _targets() for name in _NAME.findall(expression) if name in known}
    assert {one.name for one in METRICS} == shown
    assert STAGE.name in shown


def test_it_is_laid_out_as_grafana_takes_it() -> None:
    found = json.loads(_PATH.read_text())
    ids = [one["id"] for one in found["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for one in found["panels"]:
        at = one["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, one["title"]
        taken |= cells
    for panel in _panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["description"], panel["title"]


def test_the_chart_brings_it() -> None:
    assert (_DEPLOY / "helm" / "penstock" / "files" / "dashboard.json").read_text() == _PATH.read_text(), "copy it there"
