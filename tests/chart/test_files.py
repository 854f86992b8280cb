"""What the chart brings beside its templates is generated, and up to date."""

from __future__ import annotations

import os

import yaml

from engine.models.crd import crds, text
from streams.permissions import rules
from tests.chart.helm import CHART

UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"


def test_the_crds_are_ours() -> None:
    for name, crd in crds().items():
        if UPDATE:
            (CHART / "crds" / name).write_text(text(crd))
        assert (CHART / "crds" / name).read_text() == text(crd), f"{name} differs: make golden"
    assert {path.name for path in (CHART / "crds").iterdir()} == set(crds())


def test_the_rules_are_those_of_penstock_rbac() -> None:
    path = CHART / "files" / "rules.yaml"
    if UPDATE:
        path.write_text("# Generated (make golden).\n" + yaml.safe_dump(rules(), sort_keys=False))
    assert yaml.safe_load(path.read_text()) == rules(), "make golden"
