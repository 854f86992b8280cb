"""Strategic merge patches, as Kubernetes' own documentation has them."""

from __future__ import annotations

from typing import Any

import pytest

from streams.sinks.kubernetes.overlay import contains, patched

_C = [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]


@pytest.mark.parametrize(
    ("object_", "patch", "wanted"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": {"b": 1}}, {"a": {"b": None}}, {"a": {}}),
        ({"a": {"b": 1}}, {"a": {"$patch": "replace", "c": 2}}, {"a": {"c": 2}}),
        ({"a": {"b": 1}, "c": 2}, {"a": {"$patch": "delete"}}, {"c": 2}),
        ({"args": [1, 2]}, {"args": [3]}, {"args": [3]}),
        ({}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({"containers": _C}, {"containers": [{"name": "b", "image": "2"}]}, {"containers": [_C[0], {"name": "b", "image": "2"}]}),
        ({"containers": _C}, {"containers": [{"name": "a", "$patch": "delete"}]}, {"containers": [{"name": "b"}]}),
        ({"containers": _C}, {"containers": [{"$patch": "replace"}, {"name": "c"}]}, {"containers": [{"name": "c"}]}),
        (
            {"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]},
            {"ports": [{"port": 53, "protocol": "UDP", "nodePort": 1}]},
            {"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP", "nodePort": 1}]},
        ),
        (
            {"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]},
        ),
    ],
)  # fmt: skip
def test_a_patch_merges(object_: dict[str, Any], patch: dict[str, Any], wanted: dict[str, Any]) -> None:
    before = str(object_)
    assert patched(object_, patch) == wanted
    assert str(object_) == before


@pytest.mark.parametrize(
    ("live", "wanted", "is_there"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({}, {"a": {}}, False),
        ({"containers": [{"name": "x"}, {"name": "a", "image": "1", "more": 1}]}, {"containers": [{"name": "a", "image": "1"}]}, True),
        ({"containers": [{"name": "x"}]}, {"containers": [{"name": "a"}]}, False),
        ({"args": ["a", "b"]}, {"args": ["a"]}, False),
        ({"ports": [{"port": 1, "protocol": "TCP", "nodePort": 7}]}, {"ports": [{"port": 1, "protocol": "TCP"}]}, True),
        ({}, {"args": []}, True),
        ("a", {"a": 1}, False),
    ],
)  # fmt: skip
def test_what_is_wanted_is_there(*, live: Any, wanted: Any, is_there: bool) -> None:
    assert contains(live, wanted) is is_there
