"""A refused manifest that guards stands in the log, too: commands tell of it once, as refused, and what it closes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.events import Put, Refused
from engine.ref import Ref
from tests.cli.test_clusters import place_of, tell

pytestmark = pytest.mark.kafka


def test_one_that_was_never_right_is_told_once(broker: str, tmp_path: Path) -> None:
    place = place_of(broker, tmp_path)
    ref = Ref("east", "gateway.kgateway.dev", "TrafficPolicy", "default", "guard")
    target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "away"}
    allow = {"extensionRef": {"name": "allow"}, "withRequestBody": {"maxRequestBytes": 0}}
    object_ = {
        "apiVersion": f"{ref.group}/v1alpha1",
        "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace, "generation": 1, "creationTimestamp": "2026-11-24T10:00:00.000Z"},
        "spec": {"targetRefs": [target], "extAuth": allow},
    }
    asyncio.run(tell(place, "east", Put(ref, object_), Refused("guard.yaml:1", ref, "maxRequestBytes is too small")))
    result = place.run("status", "--cluster", "east")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert [one for one in lines if one.startswith("refused") and "guard" in one] == [
        "refused     guard.yaml:1: maxRequestBytes is too small"
    ]
    (route,) = [one for one in lines if one.startswith("HTTPRoute/default/away") and "Accepted" in one]
    assert "Invalid" in route
    answer: Any = place.tells("get", "trafficpolicy", "guard", "--cluster", "east")
    conditions = [one for ancestor in answer["status"]["ancestors"] for one in ancestor["conditions"]]
    assert {(one["type"], one["status"]) for one in conditions} >= {("Accepted", "False")}
