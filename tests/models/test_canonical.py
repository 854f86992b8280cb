"""Equal objects are equal bytes, and what is no JSON is refused at its path."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest

from engine.models.admission import Admitted, Refusal, admit
from engine.models.canonical import LARGEST, canonical, normalise
from tests.models.manifests import HTTP_ROUTE, SERVICE, Json, changed, target


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


def test_the_order_of_keys_means_nothing() -> None:
    assert canonical(HTTP_ROUTE) == canonical(_reversed(HTTP_ROUTE))


def test_the_order_of_lists_means_something() -> None:
    assert normalise(changed(HTTP_ROUTE, "spec.hostnames", ["b", "a"]))["spec"]["hostnames"] == ["b", "a"]


def test_noise_is_gone_and_the_rest_stays() -> None:
    metadata = HTTP_ROUTE["metadata"] | {
        "managedFields": [{"manager": "kubectl"}], "resourceVersion": "7", "uid": "u", "selfLink": "/x",
        "generation": 3, "creationTimestamp": "2026-11-24T14:03:00+02:00", "labels": {"a": "b"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }  # fmt: skip
    noisy = HTTP_ROUTE | {"metadata": metadata, "status": {"parents": []}}
    assert normalise(noisy) == HTTP_ROUTE | {
        "metadata": HTTP_ROUTE["metadata"]
        | {"generation": 3, "creationTimestamp": "2026-11-24T12:03:00Z", "labels": {"a": "b"}}
    }


def test_other_annotations_stay() -> None:
    both = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
    assert normalise(changed(HTTP_ROUTE, "metadata.annotations", both))["metadata"]["annotations"] == {"a": "b"}


def test_only_declared_status_is_input() -> None:
    other = changed(SERVICE, "status", SERVICE["status"] | {"conditions": [{"type": "x"}]})
    assert normalise(other) == SERVICE
    assert "status" not in normalise(changed(HTTP_ROUTE, "status", {"loadBalancer": {"ingress": []}}))
    assert "status" not in normalise(changed(SERVICE, "status", {"loadBalancer": {}}))


def test_nulls_are_absent() -> None:
    assert normalise(changed(HTTP_ROUTE, "spec.rules[0].name", None)) == changed(HTTP_ROUTE, "spec.rules[0].name", ...)


def test_the_callers_object_is_left_alone() -> None:
    before = repr(HTTP_ROUTE)
    normalise(changed(HTTP_ROUTE, "status", {}))["spec"].clear()
    assert repr(HTTP_ROUTE) == before


def test_text_that_says_null_stays() -> None:
    other = changed(HTTP_ROUTE, "metadata.annotations", {"a": 'null ":null'})
    assert normalise(other) == other


def test_dates_of_yaml_are_text() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    for value, wanted in (
        (dt.datetime(2026, 11, 24, 14, 3, tzinfo=zone), "2026-11-24T12:03:00Z"),
        (dt.datetime(2026, 11, 24, 14, 3, tzinfo=dt.UTC), "2026-11-24T14:03:00Z"),
        (dt.datetime(2026, 11, 24, 14, 3), "2026-11-24T14:03:00Z"),  # noqa: DTZ001  so does YAML
    ):
        for extra in ({}, {"labels": None}):
            metadata = HTTP_ROUTE["metadata"] | {"creationTimestamp": value} | extra
            judged = admit(target(HTTP_ROUTE), HTTP_ROUTE | {"metadata": metadata})
            assert isinstance(judged, Admitted)
            assert judged.object["metadata"]["creationTimestamp"] == wanted
    judged = admit(target(HTTP_ROUTE), changed(HTTP_ROUTE, "metadata.annotations", {"a": dt.date(2026, 11, 24)}))
    assert isinstance(judged, Admitted)
    assert judged.object["metadata"]["annotations"] == {"a": "2026-11-24"}


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def _itself() -> Json:
    value: Json = {}
    value["again"] = value
    return value


HOSTILE: list[tuple[str, Any, str, str]] = [
    (
        "spec.rules[0].backendRefs[0].weight",
        math.nan,
        "spec.rules[0].backendRefs[0].weight",
        "is no number that JSON has (NaN, infinity)",
    ),
    (
        "spec.rules[0].backendRefs[0].weight",
        -math.inf,
        "spec.rules[0].backendRefs[0].weight",
        "is no number that JSON has (NaN, infinity)",
    ),
    ("spec.rules[0].backendRefs[0].weight", 2**64, "spec.rules[0].backendRefs[0].weight", "is too large a number"),
    ("metadata.labels", {1: "a"}, "metadata.labels", "has the key 1, which is no text: put it in quotes"),
    ("metadata.labels", {None: None}, "metadata.labels", "has the key None, which is no text: put it in quotes"),
    ("metadata.annotations", {"a": b"x"}, "metadata.annotations.a", "is a bytes, which is no JSON: write it as text"),
    ("metadata.annotations", {"a": {1, 2}}, "metadata.annotations.a", "is a set, which is no JSON: write it as text"),
    (
        "metadata.annotations",
        {"a": "\ud800"},
        "metadata.annotations.a",
        "contains half a character (a lone surrogate): remove it",
    ),
    (
        "metadata.annotations",
        {"\udfff": "a"},
        "metadata.annotations",
        "contains half a character (a lone surrogate): remove it",
    ),
    ("spec", _nested(100_000), "spec" + "[0]" * 25 + "[", "is nested too deeply"),
    ("spec", _itself(), ("spec" + ".again" * 48)[:80], "is nested too deeply"),
    ("spec", {"a\nrefused": b""}, "spec['a\\nrefused']", "is a bytes, which is no JSON: write it as text"),
    ("metadata.annotations", {"a": "x" * LARGEST}, "", "has 1051066 bytes, at most 1048576 are possible: split it"),
]


@pytest.mark.parametrize(("path", "value", "place", "message"), HOSTILE)
def test_what_is_no_json_is_refused_at_its_path(path: str, value: Any, place: str, message: str) -> None:
    other = changed(HTTP_ROUTE, path, value)
    judged = admit(target(HTTP_ROUTE), other)
    assert isinstance(judged, Refusal)
    (problem,) = judged.problems
    assert (problem.path, str(problem).partition(": ")[2]) == (place, message)


@pytest.mark.parametrize("value", [None, 1, "x", [], (), {1: 2}, {}, object(), math.nan])
def test_what_is_no_object_is_refused(value: Any) -> None:
    for kind in ("HTTPRoute", "Gateway"):
        assert isinstance(admit(("gateway.networking.k8s.io", kind), value), Refusal)


def test_a_megabyte_of_text_is_one_short_message() -> None:
    for path in ("spec.hostnames[0]", "metadata.name", "spec.rules[0].matches[0].path.value", "apiVersion"):
        judged = admit(target(HTTP_ROUTE), changed(HTTP_ROUTE, path, "-" * 1_000_000))
        assert isinstance(judged, Refusal)
        assert len(judged.message) < 1000
