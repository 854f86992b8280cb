"""What is installed of the chart, and what is taken from its permissions."""

from __future__ import annotations

import pytest

from tests.conformance.penstock import deny


def test_a_permission_is_taken_from_every_role_and_no_other() -> None:
    statuses = {"apiGroups": ["g"], "resources": ["a/status", "b/status"], "verbs": ["patch"]}
    objects = {"apiGroups": ["g"], "resources": ["a", "b"], "verbs": ["get", "patch"]}
    roles = [{"kind": "ClusterRole", "rules": [statuses, objects]}, {"kind": "Role", "rules": [objects]}, {"kind": "Service"}]
    deny(roles, "patch", "a/status")
    assert roles[0]["rules"] == [{**statuses, "resources": ["b/status"]}, objects]
    deny(roles, "patch", "a")
    less = [{**objects, "resources": ["b"]}, {**objects, "resources": ["a"], "verbs": ["get"]}]
    assert roles[0]["rules"] == [{**statuses, "resources": ["b/status"]}, *less]
    assert roles[1]["rules"] == less


def test_what_nobody_may_cannot_be_taken() -> None:
    with pytest.raises(ValueError, match="no role of the chart may delete nodes"):
        deny([{"kind": "Role", "rules": []}], "delete", "nodes")
